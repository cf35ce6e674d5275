"""Where an installed service keeps what it writes: the embedded database, and the key of a trial."""

import os
from pathlib import Path


def instance(root: Path, checkout: bool) -> Path:
    """The folder for them, unless SECKILL_INSTANCE names one.

    In a checkout it is `instance/`. An installed package has one of the user's own, wherever it is called: two folders
    would be two shops.
    """
    if checkout:
        return root / "instance"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The specification of these folders demands that a relative path be ignored.
    return (Path(data) if os.path.isabs(data) else Path("~/.local/share").expanduser()) / "seckill"
