"""What the data is, and how a model is to be trained on it: fingerprint and plan."""

from medcnn.planning.fingerprint import Fingerprint, fingerprint
from medcnn.planning.memory import Machine
from medcnn.planning.plan import PLAN, Decision, Plan, make_plan
from medcnn.planning.recipe import Recipe, read_recipe
from medcnn.planning.settings import parse_settings

__all__ = [
    "PLAN",
    "Decision",
    "Fingerprint",
    "Machine",
    "Plan",
    "Recipe",
    "fingerprint",
    "make_plan",
    "parse_settings",
    "read_recipe",
]
