"""The names of OpenTelemetry's semantic conventions that dbopsd's spans and metrics use.

Stable names come from `opentelemetry.semconv`; those that its Python package still keeps under
`_incubating` (RPC, connection pool) are spelled out here, so that an update of the package cannot
rename what dashboards read.
"""

from typing import Final

from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.semconv.metrics import db_metrics, http_metrics

# Everything.
ERROR_TYPE: Final = error_attributes.ERROR_TYPE
SERVER_ADDRESS: Final = server_attributes.SERVER_ADDRESS
SERVER_PORT: Final = server_attributes.SERVER_PORT

ENDUSER_ID: Final = "enduser.id"
"""Who calls, as proved. Still under `_incubating`."""

# Databases.
DB_SYSTEM_NAME: Final = db_attributes.DB_SYSTEM_NAME
DB_NAMESPACE: Final = db_attributes.DB_NAMESPACE
DB_QUERY_TEXT: Final = db_attributes.DB_QUERY_TEXT
DB_QUERY_SUMMARY: Final = db_attributes.DB_QUERY_SUMMARY
DB_OPERATION_BATCH_SIZE: Final = db_attributes.DB_OPERATION_BATCH_SIZE
DB_RESPONSE_STATUS_CODE: Final = db_attributes.DB_RESPONSE_STATUS_CODE
POSTGRESQL: Final = "postgresql"
"""The value of `db.system.name`."""

DB_CLIENT_OPERATION_DURATION: Final = db_metrics.DB_CLIENT_OPERATION_DURATION
DB_CLIENT_OPERATION_DURATION_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

DB_CLIENT_CONNECTION_POOL_NAME: Final = "db.client.connection.pool.name"
DB_CLIENT_CONNECTION_STATE: Final = "db.client.connection.state"
CONNECTION_IDLE: Final = "idle"
CONNECTION_USED: Final = "used"
"""The values of `db.client.connection.state`."""

DB_CLIENT_CONNECTION_COUNT: Final = "db.client.connection.count"
DB_CLIENT_CONNECTION_MAX: Final = "db.client.connection.max"
DB_CLIENT_CONNECTION_IDLE_MAX: Final = "db.client.connection.idle.max"
DB_CLIENT_CONNECTION_IDLE_MIN: Final = "db.client.connection.idle.min"
DB_CLIENT_CONNECTION_PENDING_REQUESTS: Final = "db.client.connection.pending_requests"
DB_CLIENT_CONNECTION_TIMEOUTS: Final = "db.client.connection.timeouts"
DB_CLIENT_CONNECTION_CREATE_TIME: Final = "db.client.connection.create_time"
DB_CLIENT_CONNECTION_WAIT_TIME: Final = "db.client.connection.wait_time"
DB_CLIENT_CONNECTION_USE_TIME: Final = "db.client.connection.use_time"
DB_CLIENT_CONNECTION_TIME_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)
"""The conventions advise none for these; without any they would be the SDK's, which suit ms."""
CONNECTION_UNIT: Final = "{connection}"
REQUEST_UNIT: Final = "{request}"
TIMEOUT_UNIT: Final = "{timeout}"

# RPC.
RPC_SYSTEM_NAME: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_METHOD_ORIGINAL: Final = "rpc.method_original"
RPC_STATUS_CODE: Final = "rpc.response.status_code"
GRPC: Final = "grpc"
"""The value of `rpc.system.name`."""

OTHER_METHOD: Final = "_OTHER"
"""The value of `rpc.method` and `http.request.method` for what the server does not know."""

RPC_SERVER_CALL_DURATION: Final = "rpc.server.call.duration"
RPC_SERVER_CALL_DURATION_BUCKETS_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip

# Processes.
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_EXIT_CODE: Final = "process.exit.code"
PROCESS_PID: Final = "process.pid"

# HTTP.
HTTP_REQUEST_METHOD: Final = http_attributes.HTTP_REQUEST_METHOD
HTTP_REQUEST_METHOD_ORIGINAL: Final = http_attributes.HTTP_REQUEST_METHOD_ORIGINAL
HTTP_RESPONSE_STATUS_CODE: Final = http_attributes.HTTP_RESPONSE_STATUS_CODE
HTTP_ROUTE: Final = http_attributes.HTTP_ROUTE
URL_PATH: Final = url_attributes.URL_PATH
URL_SCHEME: Final = url_attributes.URL_SCHEME

HTTP_SERVER_REQUEST_DURATION: Final = http_metrics.HTTP_SERVER_REQUEST_DURATION
HTTP_SERVER_REQUEST_DURATION_BUCKETS_S: Final = RPC_SERVER_CALL_DURATION_BUCKETS_S
"""The conventions advise the same bounds for HTTP as for RPC."""
