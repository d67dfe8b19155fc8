from . import cli as cli
from . import credibility as credibility
from . import engine as engine
from . import errors as errors
from . import evidence as evidence
from . import files as files
from . import fit as fit
from . import library as library
from . import model as model
from . import population as population
from . import protocol as protocol
from . import published as published
from . import qualify as qualify
from . import report as report
from . import run as run
from . import study as study
from . import trial as trial
from . import web as web
from .engine import Options as Options
from .engine import Records as Records
from .engine import Schedule as Schedule
from .engine import Solution as Solution
from .engine import Solver as Solver
from .engine import build as compile
from .engine import solve as solve
from .errors import InputError as InputError
from .errors import Problem as Problem
from .interop import read_nonmem as read_nonmem
from .interop.petab import read_petab as read_petab
from .library import Library as Library
from .model import System as System
from .model import load as load_model
from .model import to_sbml as to_sbml
from .population import People as People
from .population import Population as Population
from .population import load as load_population
from .protocol import Protocol as Protocol
from .protocol import resolve as resolve
from .report import RunComparison as RunComparison
from .report import compare as compare
from .run import Plan as Plan
from .run import Results as Results
from .run import execute as execute
from .run import load as load_results
from .run import plan as plan
from .run import simulate as simulate
from .run.trials import load_trials as load_trials
from .study import Arm as Arm
from .study import Dose as Dose
from .study import Exposure as Exposure
from .study import Study as Study
from .study import load as load_study
from .trial.power import PowerResults as PowerResults
from .trial.power import power as power
from .trial.replicates import Trials as Trials
from .trial.replicates.run import trials as trials
from .web import explore as explore

__version__: str

__all__ = [
    "Arm",
    "Dose",
    "Exposure",
    "InputError",
    "Library",
    "Options",
    "People",
    "Plan",
    "Population",
    "PowerResults",
    "Problem",
    "Protocol",
    "Records",
    "Results",
    "RunComparison",
    "Schedule",
    "Solution",
    "Solver",
    "Study",
    "System",
    "Trials",
    "cli",
    "compare",
    "compile",
    "credibility",
    "engine",
    "errors",
    "evidence",
    "execute",
    "explore",
    "files",
    "fit",
    "library",
    "load_model",
    "load_population",
    "load_results",
    "load_study",
    "load_trials",
    "model",
    "plan",
    "population",
    "power",
    "protocol",
    "published",
    "qualify",
    "read_nonmem",
    "report",
    "resolve",
    "run",
    "simulate",
    "solve",
    "study",
    "to_sbml",
    "trial",
    "trials",
    "web",
]
