-- The tables as MySQL 8.4+ and MariaDB 10.6+ take them, for those who set a database up by hand:
--   mysql <database> < schema.sql
-- `make run` and `flask init-db` make the same by migrations. A test holds models.py, migrations/ and this file equal.
-- All times are UTC. `/*! … */` is read by MySQL only, `/*M! … */` by MariaDB only: the two have no collation in common
-- under which a trailing space counts.

-- Where the migrations stand. '0000' says that these tables are ours: a load that stops half way is finished by
-- `flask init-db`.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0000');

CREATE TABLE goods (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    image_url VARCHAR(2000) NOT NULL,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    price BIGINT NOT NULL,
    list_price BIGINT,
    stock BIGINT NOT NULL,
    sold BIGINT NOT NULL DEFAULT 0,
    paused BOOL NOT NULL DEFAULT FALSE,
    starts_at DATETIME(3),
    ends_at DATETIME(3),
    per_user_limit BIGINT,
    order_limit BIGINT,
    shippable BOOL NOT NULL DEFAULT FALSE,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    search_text VARCHAR(3600) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                              /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */,
    PRIMARY KEY (id),
    CONSTRAINT goods_stock_not_negative CHECK (stock >= 0),
    CONSTRAINT goods_sold_not_negative CHECK (sold >= 0),
    CONSTRAINT goods_price_not_negative CHECK (price >= 0),
    CONSTRAINT goods_list_price_not_negative CHECK (list_price >= 0),
    CONSTRAINT goods_per_user_limit_positive CHECK (per_user_limit >= 1),
    CONSTRAINT goods_order_limit_positive CHECK (order_limit >= 1),
    CONSTRAINT goods_window_not_reversed CHECK (ends_at >= starts_at)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX goods_starts ON goods (starts_at);

CREATE INDEX goods_price ON goods (price);

CREATE INDEX goods_created ON goods (created_at);

CREATE TABLE orders (
    id BIGINT NOT NULL AUTO_INCREMENT,
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    goods_id BIGINT NOT NULL,
    goods_name VARCHAR(200) NOT NULL,
    user_id VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                        /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */ NOT NULL,
    quantity BIGINT NOT NULL,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    unit_price BIGINT NOT NULL,
    subtotal BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    shipping_fee BIGINT NOT NULL,
    total BIGINT NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    per_user_limit BIGINT,
    idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin,
    request_fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    purchased_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    paid_at DATETIME(3),
    closed_at DATETIME(3),
    coupon_code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    shipping_method VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    address JSON,
    cancelled_by VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                             /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */,
    refunded_at DATETIME(3),
    refund_reference VARCHAR(255) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                                  /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */,
    PRIMARY KEY (id),
    CONSTRAINT orders_order_no UNIQUE (order_no),
    CONSTRAINT orders_user_key UNIQUE (user_id, idempotency_key),
    CONSTRAINT orders_quantity_positive CHECK (quantity >= 1),
    CONSTRAINT orders_unit_price_not_negative CHECK (unit_price >= 0),
    CONSTRAINT orders_total_adds_up CHECK (total = subtotal - discount + shipping_fee),
    CONSTRAINT orders_total_not_negative CHECK (total >= 0),
    CONSTRAINT orders_status_known CHECK (status IN ('pending', 'paid', 'cancelled', 'expired', 'refund_due', 'refunded'))
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX orders_goods_user ON orders (goods_id, user_id, status, purchased_at);

CREATE INDEX orders_status_expires ON orders (status, expires_at);

CREATE INDEX orders_status_time ON orders (status, purchased_at);

CREATE INDEX orders_goods_time ON orders (goods_id, status, purchased_at);

CREATE INDEX orders_user_time ON orders (user_id, status, purchased_at);

CREATE TABLE purchase_slots (
    goods_id BIGINT NOT NULL,
    slot INTEGER NOT NULL,
    PRIMARY KEY (goods_id, slot)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE goods_changes (
    id BIGINT NOT NULL AUTO_INCREMENT,
    goods_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    action VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                           /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */ NOT NULL,
    changed_at DATETIME(3) NOT NULL,
    stock_delta BIGINT NOT NULL,
    changes JSON NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX goods_changes_goods ON goods_changes (goods_id);

CREATE TABLE coupons (
    code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    percent INTEGER,
    max_discount BIGINT,
    amount BIGINT,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
    min_spend BIGINT,
    goods_ids JSON,
    starts_at DATETIME(3),
    ends_at DATETIME(3),
    total_limit BIGINT,
    per_user_limit BIGINT,
    active BOOL NOT NULL DEFAULT TRUE,
    used BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    PRIMARY KEY (code),
    CONSTRAINT coupons_kind_known CHECK (kind IN ('percent', 'amount', 'free_shipping')),
    CONSTRAINT coupons_percent_in_range CHECK (percent BETWEEN 1 AND 100),
    CONSTRAINT coupons_used_not_negative CHECK (used >= 0)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX coupons_created ON coupons (created_at, code);
CREATE INDEX coupons_active_code ON coupons (active, code);
CREATE INDEX coupons_active_created ON coupons (active, created_at, code);
CREATE INDEX coupons_kind_code ON coupons (kind, code);
CREATE INDEX coupons_kind_created ON coupons (kind, created_at, code);
CREATE INDEX coupons_kind_active_code ON coupons (kind, active, code);
CREATE INDEX coupons_kind_active_created ON coupons (kind, active, created_at, code);

CREATE TABLE coupon_uses (
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    coupon_code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                        /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */ NOT NULL,
    total_limit BIGINT,
    per_user_limit BIGINT,
    number BIGINT NOT NULL,
    user_number BIGINT NOT NULL,
    returned_at DATETIME(3),
    PRIMARY KEY (order_no)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX coupon_uses_coupon_user ON coupon_uses (coupon_code, user_id);

CREATE TABLE shipping_methods (
    code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name VARCHAR(200) NOT NULL,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin,
    base_fee BIGINT NOT NULL,
    additional_fee BIGINT NOT NULL DEFAULT 0,
    free_from BIGINT,
    regions JSON,
    active BOOL NOT NULL DEFAULT TRUE,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    PRIMARY KEY (code),
    CONSTRAINT shipping_methods_base_fee_not_negative CHECK (base_fee >= 0),
    CONSTRAINT shipping_methods_additional_fee_not_negative CHECK (additional_fee >= 0)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE payments (
    id BIGINT NOT NULL AUTO_INCREMENT,
    event_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_no VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payment_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount BIGINT NOT NULL,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    outcome VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    received_at DATETIME(3) NOT NULL,
    variant VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    resolved BOOL,
    resolution VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
    note VARCHAR(1000),
    resolved_at DATETIME(3),
    resolved_by VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                            /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */,
    PRIMARY KEY (id),
    CONSTRAINT payments_event_variant UNIQUE (event_id, variant),
    CONSTRAINT payments_outcome_known CHECK (outcome IN ('paid', 'refund_due', 'already_paid', 'mismatch', 'unknown_order', 'failed', 'repeated', 'refunded')),
    CONSTRAINT payments_resolution_known CHECK (resolution IN ('refunded', 'accepted', 'ignored'))
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX payments_order ON payments (order_no);

CREATE INDEX payments_outcome ON payments (outcome);

CREATE INDEX payments_resolved ON payments (resolved);

CREATE INDEX payments_outcome_resolved ON payments (outcome, resolved);

CREATE INDEX payments_payment ON payments (payment_id);

CREATE TABLE payment_claims (
    payment_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    order_no VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount BIGINT NOT NULL,
    currency VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (payment_id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE idempotency_keys (
    id BIGINT NOT NULL AUTO_INCREMENT,
    user_id VARCHAR(64) /*!80017 CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin */
                        /*M! CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin */ NOT NULL,
    idempotency_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    status INTEGER,
    headers JSON,
    body MEDIUMTEXT,
    kept_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT idempotency_keys_user_key UNIQUE (user_id, idempotency_key)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX idempotency_keys_kept ON idempotency_keys (kept_at);

CREATE TABLE outbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    occurred_at DATETIME(3) NOT NULL,
    events JSON NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE events (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    type VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    goods_id BIGINT NOT NULL,
    order_no VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
    occurred_at DATETIME(3) NOT NULL,
    PRIMARY KEY (seq)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE sequencer (
    id INTEGER NOT NULL,
    last_seq BIGINT NOT NULL DEFAULT 0,
    pruned_seq BIGINT NOT NULL DEFAULT 0,
    pruned_before DATETIME(3),
    PRIMARY KEY (id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE webhooks (
    id BIGINT NOT NULL AUTO_INCREMENT,
    url VARCHAR(2000) NOT NULL,
    types JSON,
    secret VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    active BOOL NOT NULL DEFAULT TRUE,
    after_seq BIGINT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at DATETIME(3) NOT NULL,
    updated_at DATETIME(3) NOT NULL,
    old_secret VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,
    old_secret_ends_at DATETIME(3),
    PRIMARY KEY (id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE removed_webhooks (
    webhook_id BIGINT NOT NULL,
    PRIMARY KEY (webhook_id)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE webhook_deliveries (
    id BIGINT NOT NULL AUTO_INCREMENT,
    webhook_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at DATETIME(3) NOT NULL,
    last_attempt_at DATETIME(3),
    last_status INTEGER,
    last_error VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    created_at DATETIME(3) NOT NULL,
    delivered_at DATETIME(3),
    PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_webhook_seq UNIQUE (webhook_id, seq),
    CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('pending', 'delivered', 'failed'))
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, status, next_attempt_at);

CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, status, seq);

CREATE TABLE server_proof (
    run VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    units BIGINT NOT NULL,
    made_at DATETIME(3) NOT NULL,
    PRIMARY KEY (run, number),
    CONSTRAINT server_proof_mark UNIQUE (run, mark),
    CONSTRAINT server_proof_units_not_negative CHECK (units >= 0)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE sale_figures (
    goods_id BIGINT NOT NULL,
    at DATETIME(3) NOT NULL,
    source VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    figures JSON NOT NULL,
    PRIMARY KEY (goods_id, at, source)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX sale_figures_at ON sale_figures (at);

UPDATE alembic_version SET version_num = '0013';
