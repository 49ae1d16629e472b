from .data.audit import audit_data as audit_data
from .data.read import load_for_audit as load_for_audit
from .model import audit_model as audit_model
from .repair import repair_model as repair_model
from .step.audit import audit_step as audit_step
