"""What the demo adds to `dbopsd`: its kinds of operation, joined with their methods; its duty."""

from dbopsd.app import Feature
from dbopsd.rpc.operation_methods import OperationMethod
from tests.support.demo.duty import duties
from tests.support.demo.generated import demo_pb2
from tests.support.demo.kind import DEMO, EXCLUSIVE_DEMO

SERVICE = demo_pb2.DESCRIPTOR.services_by_name["DemoService"]
METHODS = (
    OperationMethod(DEMO, f"{SERVICE.full_name}/RunDemo"),
    OperationMethod(EXCLUSIVE_DEMO, f"{SERVICE.full_name}/RunExclusiveDemo"),
)
FEATURE = Feature(methods=METHODS, duties=duties)
