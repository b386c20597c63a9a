"""A build whose parts are made by other processes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from ..engine import BuildResult, ProgressCallback
from ..errors import ConfigError, FastpyrError
from ..planning import Plan
from ..store import MemoryStore, Store
from .workplace import Workplace

if TYPE_CHECKING:
    from ..scale.ledger import Ledger

__all__ = ["build_shared", "check_shared"]


def check_shared(store: Store, name: str, plan: Plan) -> None:
    """Raises ConfigError when other processes could not write there, or could not read the sources."""
    from ..scale.job import check_portable
    from ..scale.site import site_of

    if plan.options.scheduler is not None and plan.options.executor != "dask":
        raise ConfigError(f"--scheduler is for --executor dask, not for {plan.options.executor}")
    if isinstance(store, MemoryStore):
        site_of(store, name, "", "")
    check_portable(plan)


def build_shared(place: Workplace, plan: Plan, progress: ProgressCallback | None) -> BuildResult:
    """Have all slabs of a plan written. Raises FastpyrError when all tasks have ended."""
    from ..scale.drive import Totals, drive
    from ..scale.executor import open_executor
    from ..scale.job import JobPaper, digest, pack_job
    from ..scale.site import site_of, token

    options, ledger = plan.options, cast("Ledger", place.journal)
    site = site_of(place.store, place.name, *place.keys())
    totals = Totals(plan, progress)
    for outcome in ledger.restored.values():
        totals.add(outcome, resumed=True)
    data = pack_job(plan)
    paper = JobPaper(site, f"job-{token()}-0", digest(data))
    with open_executor(options.executor, options.scheduler, options.workers) as executor:
        place.store.put(site.scratch + paper.key, [data])
        try:
            drive(executor, paper, ledger, place.store, totals.add)
        except BaseException:
            # Workers look for it: without it nobody writes any more.
            with contextlib.suppress(FastpyrError):
                place.store.delete(site.scratch + paper.key)
            executor.halt()
            raise
    result = totals.result()
    place.adopt([slab.key for slab in result.slabs])
    return result
