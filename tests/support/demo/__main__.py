"""`dbopsd` with the demo: `python -m tests.support.demo serve`, `… worker`."""

from dbopsd.__main__ import build_cli
from dbopsd.app import Feature
from dbopsd.app.features import FEATURES
from tests.support.demo.service import METHODS, services

DEMO = Feature(methods=METHODS, services=services)

if __name__ == "__main__":
    build_cli([*FEATURES, DEMO], module="tests.support.demo")(prog_name="dbopsd")
