"""The first products, so that a new shop has something to show."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

products = sa.table(
    "products",
    sa.column("sku", sa.String),
    sa.column("name", sa.String),
    sa.column("description", sa.String),
    sa.column("price_cents", sa.Integer),
    sa.column("stock", sa.Integer),
)

SEED = [
    ("MUG-BLUE", "Blue mug", "Stoneware, 300 ml, glazed by hand.", 1450, 40),
    ("MUG-BLACK", "Black mug", "Stoneware, 300 ml, matt outside.", 1450, 25),
    ("BOWL-OAK", "Oak bowl", "Turned from one piece, oiled.", 3900, 12),
    ("BOARD-ASH", "Ash cutting board", "End grain, 40 by 25 cm.", 5400, 8),
    ("CLOTH-LINEN", "Linen tea towel", "Two of them, washed soft.", 1850, 60),
    ("POT-CLAY", "Clay pot", "Unglazed, for bread and beans.", 4700, 10),
    ("KNIFE-PARING", "Paring knife", "Carbon steel, pear-wood handle.", 3200, 18),
    ("LAMP-PAPER", "Paper lamp", "Folded by hand, 40 cm.", 6900, 5),
]


def upgrade() -> None:
    names = ("sku", "name", "description", "price_cents", "stock")
    op.bulk_insert(products, [dict(zip(names, row, strict=True)) for row in SEED])


def downgrade() -> None:
    op.execute(products.delete().where(products.c.sku.in_([row[0] for row in SEED])))
