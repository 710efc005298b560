"""Every table: whoever compares the schema with the models imports this.

Owns the list of the modules that have tables. Deliberately has no table itself.
"""

from app import idempotency
from app.attachments import models as attachments
from app.auth import models as accounts
from app.database import Base
from app.exports import models as exports
from app.orders import models as orders
from app.products import models as products

MODELS = (accounts, attachments, exports, idempotency, orders, products)
METADATA = Base.metadata
