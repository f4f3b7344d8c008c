"""Where do tools and actions meet? The only room that sees all of the settings.

`toolbox.py` builds each tool once, when it is first asked for; the other files are one flow a task, named like the
files of `ops/cli/`: guard, plan, show, ask, execute.
"""

from __future__ import annotations

from ops.wiring.masked_log import open_log
from ops.wiring.toolbox import Toolbox, open_toolbox

__all__ = ["Toolbox", "open_log", "open_toolbox"]
