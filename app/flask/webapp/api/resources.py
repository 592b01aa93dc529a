"""/api/users and /api/products."""

from __future__ import annotations

from webapp import listing, schemas
from webapp.api.resource import Resource

USERS = Resource(
    "users",
    listing.users,
    shown=schemas.User,
    new=schemas.NewUser,
    whole=schemas.WholeUser,
    part=schemas.PartOfUser,
)
PRODUCTS = Resource(
    "products",
    listing.products,
    shown=schemas.Product,
    new=schemas.NewProduct,
    whole=schemas.WholeProduct,
    part=schemas.PartOfProduct,
    reading_is_free=True,
)
RESOURCES = (USERS, PRODUCTS)
