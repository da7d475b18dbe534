"""`dbopsd` with the demo: `python -m tests.support.demo serve`, `… worker`."""

from dbopsd.__main__ import build_cli
from dbopsd.app.features import FEATURES
from tests.support.demo.feature import FEATURE

if __name__ == "__main__":
    build_cli([*FEATURES, FEATURE], module="tests.support.demo")(prog_name="dbopsd")
