from .code import audit_code as audit_code
from .files import audit_files as audit_files
from .sarif import write_sarif as write_sarif
