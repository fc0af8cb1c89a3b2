"""Limits by source: what one stranger may cost, so that the others still get their calls.

``figures`` says how much a source may ask for, ``buckets`` measures rates, ``account`` keeps the counts of one source,
``admission`` is the policy that the SIP stack puts each new request to, ``overload`` sheds new calls while the process is late.
Change here what a source is allowed, how that is counted and what is told of it; how messages are sorted is
``adapters/sip/core/admission.py``.
"""

from calltable.limits.admission import SourceAdmission
from calltable.limits.figures import Figures, Network, Plan, networks, source_key
from calltable.limits.overload import Overload

__all__ = [
    "Figures",
    "Network",
    "Overload",
    "Plan",
    "SourceAdmission",
    "networks",
    "source_key",
]
