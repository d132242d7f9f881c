"""The dashboards: what they show is data in fleet, service, cold_start and control; grafana makes Grafana's JSON of it.

Series of model pods carry `namespace` and `name` of their InferenceService and `pod`; the chart's PodMonitor sets them. The
operator's series of a service carry the same two.
"""

from typing import Final

from fairlead_cli.dashboards.cold_start import COLD_START
from fairlead_cli.dashboards.control import CONTROL
from fairlead_cli.dashboards.fleet import FLEET
from fairlead_cli.dashboards.panels import Dashboard
from fairlead_cli.dashboards.service import SERVICE

DASHBOARDS: Final[tuple[Dashboard, ...]] = (FLEET, SERVICE, COLD_START, CONTROL)
