"""Where the pictures under docs/img/ are, and of what they are made: the storefront's and the console's alike."""

from config import ROOT
from tests.e2e.conftest import DESKTOP, PHONE

FOLDER = ROOT / "docs" / "img"
SIZES = {"desktop": DESKTOP, "phone": PHONE}
# The size, the colours and the language of each.
MODES = (("desktop", "light", "en"), ("desktop", "dark", "zh"), ("phone", "light", "zh"), ("phone", "dark", "en"))
