"""The regions that an address form offers, by name."""

import gettext
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

# The provinces' numbers of GB/T 2260, which ISO 3166-2:CN took over. Short names, as people write them.
_PROVINCES = """
11 Beijing 北京|12 Tianjin 天津|13 Hebei 河北|14 Shanxi 山西|15 Inner-Mongolia 内蒙古
21 Liaoning 辽宁|22 Jilin 吉林|23 Heilongjiang 黑龙江|31 Shanghai 上海|32 Jiangsu 江苏
33 Zhejiang 浙江|34 Anhui 安徽|35 Fujian 福建|36 Jiangxi 江西|37 Shandong 山东
41 Henan 河南|42 Hubei 湖北|43 Hunan 湖南|44 Guangdong 广东|45 Guangxi 广西
46 Hainan 海南|50 Chongqing 重庆|51 Sichuan 四川|52 Guizhou 贵州|53 Yunnan 云南
54 Tibet 西藏|61 Shaanxi 陕西|62 Gansu 甘肃|63 Qinghai 青海|64 Ningxia 宁夏
65 Xinjiang 新疆
"""


class Region(NamedTuple):
    """A region: its ISO 3166 code, and its name."""

    code: str
    name: str


@cache
def provinces(language: str) -> list[Region]:
    """China's provinces."""
    rows = [row.split() for row in _PROVINCES.replace("\n", "|").split("|") if row]
    return [
        Region(f"CN-{number}", chinese if language == "zh" else name.replace("-", " "))
        for number, name, chinese in rows
    ]


@cache
def countries(language: str) -> list[Region]:
    """All countries of ISO 3166-1, China ahead of them."""
    import pycountry  # late: a worker that ships nothing need not load it

    names = {country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries}
    if language == "zh":
        translations = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=["zh_CN"])
        names = {code: translations.gettext(name) for code, name in names.items()}
    # Chinese names have no order that all know; codes have.
    key = (lambda region: region.code) if language == "zh" else (lambda region: region.name)
    listed = sorted((Region(code, name) for code, name in names.items()), key=key)
    return sorted(listed, key=lambda region: region.code != "CN")


def others(codes: Iterable[str], language: str) -> list[Region]:
    """Those of `codes` that neither of the lists above has, such as a state that a shipping method names."""
    listed = {region.code for region in (*provinces(language), *countries(language))}
    import pycountry

    found = []
    for code in sorted(set(codes) - listed):
        known = pycountry.subdivisions.get(code=code)  # type: ignore[no-untyped-call]
        found.append(Region(code, code if known is None else f"{known.name} ({code})"))
    return found
