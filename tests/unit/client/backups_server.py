"""A server of operations that has backups too."""

from dbops.v1 import backup_pb2, backup_pb2_grpc, health_pb2, health_pb2_grpc, resources_pb2

from tests.unit.client.operations_server import OperationsServer


class BackupsServer(
    OperationsServer, backup_pb2_grpc.BackupServiceServicer, health_pb2_grpc.HealthServiceServicer
):
    """`backups`, `windows` and `wal` are what it answers with; `databases` are their ids."""

    def __init__(self):
        super().__init__()
        self.databases = ["main"]
        self.backups = []
        self.windows = []
        self.gaps = []
        self.notes = []
        self.wal = backup_pb2.WalStatus(state="STREAMING")

    def register(self, server):
        super().register(server)
        backup_pb2_grpc.add_BackupServiceServicer_to_server(self, server)
        health_pb2_grpc.add_HealthServiceServicer_to_server(self, server)

    async def ListDatabases(self, request, context):  # noqa: N802  # gRPC's name
        names = [resources_pb2.Database(name=f"databases/{name}") for name in self.databases]
        return health_pb2.ListDatabasesResponse(databases=names)

    async def CreateBackup(self, request, context):  # noqa: N802
        return await self.begin("CreateBackup", request, context)

    async def VerifyBackups(self, request, context):  # noqa: N802
        return await self.begin("VerifyBackups", request, context)

    async def DeleteBackup(self, request, context):  # noqa: N802
        return await self.begin("DeleteBackup", request, context)

    async def RestoreBackup(self, request, context):  # noqa: N802
        return await self.begin("RestoreBackup", request, context)

    async def DrillBackup(self, request, context):  # noqa: N802
        return await self.begin("DrillBackup", request, context)

    async def ApplyRetention(self, request, context):  # noqa: N802
        return await self.begin("ApplyRetention", request, context)

    async def RotateKeys(self, request, context):  # noqa: N802
        return await self.begin("RotateKeys", request, context)

    async def GetBackup(self, request, context):  # noqa: N802
        await self.note("GetBackup", request, context)
        return next(each for each in self.backups if each.name == request.name)

    async def ListBackups(self, request, context):  # noqa: N802
        await self.note("ListBackups", request, context)
        start, end, token = self.page(request, len(self.backups))
        return backup_pb2.ListBackupsResponse(
            backups=self.backups[start:end], next_page_token=token
        )

    async def UpdateBackup(self, request, context):  # noqa: N802
        await self.note("UpdateBackup", request, context)
        return request.backup

    async def ListRecoveryWindows(self, request, context):  # noqa: N802
        await self.note("ListRecoveryWindows", request, context)
        start = int(request.page_token or 0)
        end = start + 2  # whatever size was asked for
        return backup_pb2.ListRecoveryWindowsResponse(
            windows=self.windows[start:end],
            gaps=self.gaps,
            notes=self.notes,
            next_page_token=str(end) if end < len(self.windows) else "",
        )

    async def GetWalStatus(self, request, context):  # noqa: N802
        await self.note("GetWalStatus", request, context)
        return self.wal
