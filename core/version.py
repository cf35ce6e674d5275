"""The release. It is named here alone: the package, `seckill --version` and the API's description read it."""

__version__ = "1.0.0"
