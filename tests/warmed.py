"""Imported last by the process that others are forked from: what each of them would do first is done, once for all."""

from __future__ import annotations

import gc

from dialer.checking.files import read_campaigns
from tests.faults.world import ROOT

assert read_campaigns(ROOT / "campaigns", ROOT / "templates").campaigns
# nobody's collector looks at what is here already
gc.collect()
gc.freeze()
