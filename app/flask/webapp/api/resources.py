"""/api/users, /api/products and /api/audit, and who may use them."""

from __future__ import annotations

from webapp import listing, schemas
from webapp.api.resource import Collection, Resource
from webapp.models import ADMIN

USERS = Resource(
    name="users",
    listing=listing.users,
    shown=schemas.User,
    new=schemas.NewUser,
    whole=schemas.WholeUser,
    part=schemas.PartOfUser,
    reader=ADMIN,
    writer=ADMIN,
)
PRODUCTS = Resource(
    name="products",
    listing=listing.products,
    shown=schemas.Product,
    new=schemas.NewProduct,
    whole=schemas.WholeProduct,
    part=schemas.PartOfProduct,
)
AUDIT = Collection(
    name="audit", listing=listing.changes, shown=schemas.Change, reader=ADMIN, writer=ADMIN
)
RESOURCES = (USERS, PRODUCTS)
COLLECTIONS: tuple[Collection, ...] = (*RESOURCES, AUDIT)
