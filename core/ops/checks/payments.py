"""Records of payments: each payment and each event has its effect once, and resolutions are complete."""

from typing import Any

from sqlalchemy import Select, and_, case, func, literal, not_, or_, select

from core.ops.checks.check import Check, Snapshot, breaches
from core.payments.payment_records import WITH_EFFECT
from models import OPEN_OUTCOMES, Payment, PaymentClaim, PaymentOutcome, PaymentResolution

payment = Payment.__table__.c
claim = PaymentClaim.__table__.c

_HAS_EFFECT = payment.outcome.in_(WITH_EFFECT)


def _payment_has_effect_once(snapshot: Snapshot) -> Select[Any]:
    query = breaches(literal(1), func.count(), order_no=func.min(payment.order_no)).where(_HAS_EFFECT)
    return query.group_by(payment.payment_id).having(func.count() > 1)


def _effects_are_claimed(snapshot: Snapshot) -> Select[Any]:
    own = and_(
        claim.payment_id == payment.payment_id,
        claim.order_no == payment.order_no,
        claim.amount == payment.amount,
        claim.currency == payment.currency,
    )
    query = breaches(literal(1), literal(0), order_no=payment.order_no).select_from(Payment)
    return query.outerjoin(PaymentClaim, own).where(_HAS_EFFECT, claim.payment_id.is_(None))


def _claims_have_effects(snapshot: Snapshot) -> Select[Any]:
    accounted = or_(_HAS_EFFECT, payment.resolution.is_not(None), payment.outcome == PaymentOutcome.REFUNDED)
    used = select(payment.payment_id).where(accounted).group_by(payment.payment_id).subquery()
    query = breaches(literal(0), literal(1), order_no=claim.order_no).select_from(PaymentClaim)
    return query.outerjoin(used, used.c.payment_id == claim.payment_id).where(used.c.payment_id.is_(None))


def _event_has_effect_once(snapshot: Snapshot) -> Select[Any]:
    """Of several contents under one event id, all but the first are mismatches."""
    query = breaches(literal(1), func.count(), order_no=func.min(payment.order_no))
    query = query.where(or_(payment.variant == "", payment.outcome != PaymentOutcome.MISMATCH))
    return query.group_by(payment.event_id).having(func.count() > 1)


def _resolutions_are_whole(snapshot: Snapshot) -> Select[Any]:
    is_noted = payment.resolution.is_not(None)
    wanted = case(
        (is_noted, and_(payment.resolved.is_(True), payment.resolved_at.is_not(None))),
        (payment.outcome.in_(OPEN_OUTCOMES), and_(payment.resolved.is_(False), payment.resolved_at.is_(None))),
        else_=and_(payment.resolved.is_(None), payment.resolved_at.is_(None)),
    )
    # A payment that paid an order can be resolved as refunded only; one that reports no money cannot be resolved.
    allowed = or_(
        not_(is_noted),
        payment.outcome.in_(OPEN_OUTCOMES),
        and_(payment.outcome == PaymentOutcome.PAID, payment.resolution == PaymentResolution.REFUNDED),
    )
    query = breaches(literal(1), literal(0), order_no=payment.order_no)
    return query.where(not_(and_(wanted, allowed)))


CHECKS = (
    Check(
        "payment_has_effect_once",
        None,
        "a payment pays one order, or is to be given back once",
        _payment_has_effect_once,
    ),
    Check("effects_are_claimed", None, "a payment that had its effect has its claim", _effects_are_claimed),
    Check("claims_have_effects", None, "a claim is that of a payment that had its effect", _claims_have_effects),
    Check("event_has_effect_once", None, "an event id has its effect for one content", _event_has_effect_once),
    Check(
        "resolutions_are_whole",
        None,
        "what was done about a payment is noted with its time, where something had to be done",
        _resolutions_are_whole,
    ),
)
