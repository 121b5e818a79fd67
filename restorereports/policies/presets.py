"""Ready-made terms for the frequencies that frameworks name, with the control ids they support (evidence, 3.1).

A preset is a beginning that people change, not advice; a control that names no frequency stands with the habit of its
auditors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .terms import Terms, Tier


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """`key` is kept in the terms; `why` says where the number of days comes from."""

    key: str
    name: str | Promise
    days: int
    target: int
    controls: tuple[str, ...]
    why: str | Promise

    def terms(self) -> Terms:
        tier = Tier(name="All VMs", window_days=self.days, target=self.target, rto_minutes=240)
        return Terms(tiers=(tier,), other_tier=tier.name, preset=self.key, controls=self.controls)


_GENERAL: Final = ("ISO/IEC 27001:2022 A.8.13", "ISO/IEC 27001:2022 A.5.30", "SOC 2 A1.2")

PRESETS: Final = (
    Preset(
        key="30",
        name=_("30 days"),
        days=30,
        target=100,
        controls=("NIS2 2024/2690 Annex 4.2.6", *_GENERAL),
        why=_("ENISA’s example: weekly for high, monthly for lower criticality."),
    ),
    Preset(
        key="90",
        name=_("90 days"),
        days=90,
        target=95,
        controls=("CIS v8.1 11.5", "NIST 800-53r5 CP-9(1)", *_GENERAL),
        why=_("CIS asks for a test of a sample quarterly or more often."),
    ),
    Preset(
        key="180",
        name=_("180 days"),
        days=180,
        target=95,
        controls=("BSI CON.3.A15", "GDPR Art. 32(1)(d)", *_GENERAL),
        why=_("These ask for regular tests and name no number; half a year is a habit."),
    ),
    Preset(
        key="365",
        name=_("365 days"),
        days=365,
        target=95,
        controls=("NIST CSF 2.0 PR.DS-11", "DORA Art. 11(6)(a)", "DORA Art. 12(2)", "SOC 2 A1.3", *_GENERAL),
        why=_("NIST CSF’s example and DORA ask for a test at least annually."),
    ),
)
