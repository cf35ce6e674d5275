-- The tables as MySQL 8 and MariaDB 10.6+ take them, for those who set a database up by hand:
--   mysql <database> < schema.sql
-- `make run` and `flask init-db` make the same by migrations. A test holds models.py, migrations/ and this file equal.
-- All times are UTC. `/*! … */` is read by MySQL only, `/*M! … */` by MariaDB only: the two have no collation in common
-- under which a trailing space counts.

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
    PRIMARY KEY (id),
    CONSTRAINT goods_stock_not_negative CHECK (stock >= 0),
    CONSTRAINT goods_sold_not_negative CHECK (sold >= 0),
    CONSTRAINT goods_price_not_negative CHECK (price >= 0),
    CONSTRAINT goods_list_price_not_negative CHECK (list_price >= 0),
    CONSTRAINT goods_per_user_limit_positive CHECK (per_user_limit >= 1),
    CONSTRAINT goods_order_limit_positive CHECK (order_limit >= 1),
    CONSTRAINT goods_window_not_reversed CHECK (ends_at >= starts_at)
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

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
    PRIMARY KEY (id),
    CONSTRAINT orders_order_no UNIQUE (order_no),
    CONSTRAINT orders_user_key UNIQUE (user_id, idempotency_key),
    CONSTRAINT orders_quantity_positive CHECK (quantity >= 1),
    CONSTRAINT orders_unit_price_not_negative CHECK (unit_price >= 0),
    CONSTRAINT orders_total_adds_up CHECK (total = subtotal - discount + shipping_fee),
    CONSTRAINT orders_total_not_negative CHECK (total >= 0),
    CONSTRAINT orders_status_known CHECK (status IN ('pending', 'paid', 'cancelled', 'expired', 'refund_due'))
) ENGINE = InnoDB CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE INDEX orders_goods_user ON orders (goods_id, user_id);

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

-- Where the migrations begin from here on.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0001');
