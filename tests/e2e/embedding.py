"""The page of another shop that embeds the element, the one of examples/shop."""

from examples.shop import Shop


class AnyItemShop(Shop):
    """The example's shop, whose page is about `goods`, in `language`."""

    goods = 1
    language = "en"

    def page(self, name: str) -> bytes:
        page = super().page(name).replace(b'goods="1"', f'goods="{self.goods}"'.encode())
        return page.replace(b'lang="en"', f'lang="{self.language}"'.encode())
