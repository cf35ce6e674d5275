"""The texts of each `reason` of a refusal, by error code. Like the codes, reasons are part of the contract."""

from collections.abc import Mapping
from typing import Any

from core import refusals
from core.catalogue.coupons import CouponReason
from core.catalogue.quotes import Missing
from core.catalogue.shipping import ShippingReason
from resources.http.problems import PROBLEMS, Text

REASONS: Mapping[str, Mapping[str, Text]] = {
    refusals.COUPON_INVALID: {
        CouponReason.UNKNOWN: Text("There is no coupon with this code.", "没有使用该代码的优惠券。"),
        CouponReason.INACTIVE: Text("The coupon is switched off.", "该优惠券已停用。"),
        CouponReason.NOT_STARTED: Text("The coupon is not valid yet.", "该优惠券尚未生效。"),
        CouponReason.ENDED: Text("The coupon is not valid any more.", "该优惠券已过期。"),
    },
    refusals.COUPON_EXHAUSTED: {
        CouponReason.TOTAL_LIMIT: Text("All uses of the coupon are taken.", "该优惠券已被领完。"),
        CouponReason.PER_USER_LIMIT: Text(
            "You have used the coupon as often as you may.", "您已达到该优惠券的使用次数上限。"
        ),
    },
    refusals.COUPON_NOT_APPLICABLE: {
        CouponReason.GOODS: Text("The coupon is for other items.", "该优惠券不适用于此商品。"),
        CouponReason.CURRENCY: Text("The coupon is for another currency.", "该优惠券适用于其他货币。"),
        CouponReason.MIN_SPEND: Text(
            "The subtotal is below the least that the coupon needs.", "小计未达到该优惠券的最低消费。"
        ),
        CouponReason.NO_SHIPPING: Text(
            "The coupon is for shipping, and this item is not shipped.", "该商品无需配送，免运费券不适用。"
        ),
    },
    refusals.SHIPPING_REQUIRED: {
        Missing.SHIPPING_METHOD: Text("No shipping method was chosen.", "未选择配送方式。"),
        Missing.ADDRESS: Text("No address was given.", "未提供收货地址。"),
    },
    refusals.SHIPPING_NOT_AVAILABLE: {
        ShippingReason.UNKNOWN: Text("There is no shipping method with this code.", "没有使用该代码的配送方式。"),
        ShippingReason.INACTIVE: Text("The method is switched off.", "该配送方式已停用。"),
        ShippingReason.CURRENCY: Text("The method is for another currency.", "该配送方式适用于其他货币。"),
        ShippingReason.REGION: Text(
            "The method does not serve the region of the address.", "该配送方式不支持收货地区。"
        ),
        ShippingReason.ADDRESS_REQUIRED: Text(
            "The method serves some regions only, and no address was given.",
            "该配送方式仅支持部分地区，请提供收货地址。",
        ),
        ShippingReason.NOT_SHIPPABLE: Text("The item is not shipped.", "该商品无需配送。"),
    },
}


def detail(code: str, members: Mapping[str, Any]) -> Text:
    """What a problem's `detail` says: the meaning of its reason where it has one, else of its code."""
    return REASONS.get(code, {}).get(str(members.get("reason")), PROBLEMS[code].detail)
