"""`dbopsd` with the demo: `python -m tests.support.demo serve`, `… worker`."""

from dbopsd.__main__ import build_cli
from dbopsd.app import Feature
from tests.support.demo.service import METHODS, services

DEMO = Feature(methods=METHODS, services=services)

if __name__ == "__main__":
    build_cli([DEMO], module="tests.support.demo")(prog_name="dbopsd")
