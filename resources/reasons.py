"""The `reason` of refusals that have one, code by code. Like the codes they are part of the contract."""

from collections.abc import Mapping

from resources.problems import Text

REASONS: Mapping[str, Mapping[str, Text]] = {
    "coupon_invalid": {
        "unknown": Text("There is no coupon with this code.", "没有使用该代码的优惠券。"),
        "inactive": Text("The coupon is switched off.", "该优惠券已停用。"),
        "not_started": Text("The coupon is not valid yet.", "该优惠券尚未生效。"),
        "ended": Text("The coupon is not valid any more.", "该优惠券已过期。"),
    },
    "coupon_exhausted": {
        "total_limit": Text("All uses of the coupon are taken.", "该优惠券已被领完。"),
        "per_user_limit": Text(
            "The buyer has used the coupon as often as they may.", "您已达到该优惠券的使用次数上限。"
        ),
    },
    "coupon_not_applicable": {
        "goods": Text("The coupon is for other items.", "该优惠券不适用于此商品。"),
        "currency": Text("The coupon is for another currency.", "该优惠券适用于其他货币。"),
        "min_spend": Text("The subtotal is below the least that the coupon needs.", "小计未达到该优惠券的最低消费。"),
        "no_shipping": Text("Free shipping of an item that is not shipped.", "该商品无需配送，免运费券不适用。"),
    },
    "shipping_required": {
        "shipping_method": Text("No shipping method was chosen.", "未选择配送方式。"),
        "address": Text("No address was given.", "未提供收货地址。"),
    },
    "shipping_not_available": {
        "unknown": Text("There is no shipping method with this code.", "没有使用该代码的配送方式。"),
        "inactive": Text("The method is switched off.", "该配送方式已停用。"),
        "currency": Text("The method is for another currency.", "该配送方式适用于其他货币。"),
        "region": Text("The method does not serve the region of the address.", "该配送方式不支持收货地区。"),
        "address_required": Text(
            "The method serves some regions only, and no address was given.",
            "该配送方式仅支持部分地区，请提供收货地址。",
        ),
        "not_shippable": Text("The item is not shipped.", "该商品无需配送。"),
    },
}
