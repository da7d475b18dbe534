"""The method that lists the settings of a server."""

from typing import Any

from dbops.v1 import metrics_pb2

from dbopsd.metrics.settings.settings import Setting, Settings
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.paging import paginate
from dbopsd.security.caller import Role, current_caller


class SettingMethods:
    """Asks the database at each call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def ListSettings(  # noqa: N802 - gRPC's name
        self, request: metrics_pb2.ListSettingsRequest, context: Any
    ) -> metrics_pb2.ListSettingsResponse:
        """A page of the settings of a server, by name."""
        database = database_id(request.parent)
        settings = await self._settings.list(
            database, with_secrets=current_caller.get().may(Role.OPERATOR, database)
        )
        page = paginate(
            [each for each in settings if each.changed or not request.changed],
            key=lambda each: each.setting,
            of="ListSettings",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListSettingsResponse(
            settings=map(_encode, page.items), next_page_token=page.next_page_token
        )


def _encode(setting: Setting) -> metrics_pb2.Setting:
    return metrics_pb2.Setting(
        setting=setting.setting,
        value=setting.value,
        unit=setting.unit,
        display_value=setting.display_value,
        default_value=setting.default_value,
        source=setting.source,
        source_file=setting.source_file,
        source_line=setting.source_line,
        context=setting.context,
        pending_restart=setting.pending_restart,
        overrides=[
            metrics_pb2.Setting.Override(
                role=each.role, postgres_database=each.postgres_database, value=each.value
            )
            for each in setting.overrides
        ],
        help=setting.help,
    )
