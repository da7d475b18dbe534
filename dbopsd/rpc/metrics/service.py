"""`dbops.v1.MetricsService`, joined from its parts."""

from dbops.v1 import metrics_pb2_grpc

from dbopsd.metrics.advice.adviser import Adviser
from dbopsd.metrics.alerts.alerts import Alerts
from dbopsd.metrics.descriptors import Catalogue
from dbopsd.metrics.history.query import History
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.sessions.sessions import Sessions
from dbopsd.metrics.settings.settings import Settings
from dbopsd.metrics.statements.plan import Plans
from dbopsd.metrics.statements.statements import Statements
from dbopsd.metrics.statements.window import StatementHistory
from dbopsd.metrics.trends.trends import Trends
from dbopsd.rpc.metrics.advice import AdviceMethods
from dbopsd.rpc.metrics.alerts import AlertMethods
from dbopsd.rpc.metrics.history import HistoryMethods
from dbopsd.rpc.metrics.sessions import SessionMethods
from dbopsd.rpc.metrics.settings import SettingMethods
from dbopsd.rpc.metrics.snapshots import SnapshotMethods
from dbopsd.rpc.metrics.statements import StatementMethods
from dbopsd.rpc.metrics.trends import TrendMethods


class MetricsService(  # type: ignore[misc]  # the parts' methods are what gRPC calls
    SnapshotMethods,
    HistoryMethods,
    SessionMethods,
    SettingMethods,
    StatementMethods,
    AlertMethods,
    AdviceMethods,
    TrendMethods,
    metrics_pb2_grpc.MetricsServiceServicer,
):
    """Each part answers for itself; here they are given what they need."""

    def __init__(
        self,
        hub: MetricsHub,
        catalogue: Catalogue,
        history: History | None,
        on_demand: OnDemand,
        statement_history: StatementHistory | None,
        alerts: Alerts,
        adviser: Adviser,
        trends: Trends | None,
    ) -> None:
        SnapshotMethods.__init__(self, hub, catalogue)
        HistoryMethods.__init__(self, frozenset(hub.databases), history)
        SessionMethods.__init__(self, Sessions(on_demand))
        SettingMethods.__init__(self, Settings(on_demand))
        StatementMethods.__init__(self, Statements(on_demand, statement_history), Plans(on_demand))
        AlertMethods.__init__(self, alerts, frozenset(hub.databases))
        AdviceMethods.__init__(self, adviser)
        TrendMethods.__init__(self, frozenset(hub.databases), trends)
