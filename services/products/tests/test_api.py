import uuid

import pytest
from fastapi.testclient import TestClient

SEEDED = 8


def new_product(**changes: object) -> dict[str, object]:
    return {"sku": f"T-{uuid.uuid4().hex[:12].upper()}", "name": "Test", "price_cents": 100} | changes


def create(client: TestClient, **changes: object) -> dict[str, object]:
    answer = client.post("/products", json=new_product(**changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def check_problem(answer, status: int, detail: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert detail in answer.json()["detail"]


def test_seeded_products_are_listed_in_order(client: TestClient):
    products = client.get("/products", params={"limit": SEEDED}).json()["products"]
    assert [p["id"] for p in products] == list(range(1, SEEDED + 1))
    assert products[0] == {
        "id": 1,
        "sku": "MUG-BLUE",
        "name": "Blue mug",
        "description": "Stoneware, 300 ml, glazed by hand.",
        "price_cents": 1450,
        "currency": "EUR",
        "stock": 40,
    }


def test_pages_follow_each_other_without_gaps(client: TestClient):
    seen, after = [], 0
    while after is not None:
        page = client.get("/products", params={"limit": 3, "after": after}).json()
        assert len(page["products"]) <= 3
        seen += [p["id"] for p in page["products"]]
        after = page["next"]
    everything = client.get("/products", params={"limit": 100}).json()
    assert everything["next"] is None
    assert seen == [p["id"] for p in everything["products"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [("mug", ["Blue mug", "Black mug"]), ("BLUE", ["Blue mug"]), ("%", []), ("_", []), ("'; --", [])],
)
def test_search_is_by_name_and_takes_no_wildcards(client: TestClient, q: str, expected: list[str]):
    products = client.get("/products", params={"q": q}).json()["products"]
    assert [p["name"] for p in products] == expected


def test_created_product_can_be_read(client: TestClient):
    new = new_product(name="  Spoon  ", stock=3)
    answer = client.post("/products", json=new)
    assert answer.status_code == 201
    assert answer.json() == {"description": "", "currency": "EUR"} | new | {"id": answer.json()["id"], "name": "Spoon"}
    assert client.get(answer.headers["location"]).json() == answer.json()


def test_sku_is_unique(client: TestClient):
    sku = create(client)["sku"]
    check_problem(client.post("/products", json=new_product(sku=sku)), 409, "exists already")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "body.name"),
        ({"price_cents": -1}, "body.price_cents"),
        ({"price_cents": 1.5}, "body.price_cents"),
        ({"currency": "euro"}, "body.currency"),
        ({"sku": "lower"}, "body.sku"),
        ({"stock": 10_000_000}, "body.stock"),
        ({"colour": "red"}, "body.colour"),
    ],
)
def test_invalid_product_names_the_field(client: TestClient, changes: dict[str, object], field: str):
    answer = client.post("/products", json=new_product(**changes))
    check_problem(answer, 422, "not valid")
    assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_change_touches_only_what_it_names(client: TestClient):
    product = create(client, stock=5)
    answer = client.patch(f"/products/{product['id']}", json={"price_cents": 250})
    assert answer.status_code == 200
    assert answer.json() == product | {"price_cents": 250}
    assert client.get(f"/products/{product['id']}").json() == answer.json()


@pytest.mark.parametrize("product_id", ["0", "-1", "999999", "99999999999999999999"])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_unknown_product(client: TestClient, method: str, product_id: str):
    answer = client.request(method, f"/products/{product_id}", json={} if method == "PATCH" else None)
    check_problem(answer, 404, f"no product {product_id}")


@pytest.mark.parametrize(
    ("path", "status"), [("/products?limit=0", 422), ("/products?limit=101", 422), ("/products/x", 422), ("/no", 404)]
)
def test_bad_requests(client: TestClient, path: str, status: int):
    check_problem(client.get(path), status, "")


def test_method_not_allowed_keeps_its_header(client: TestClient):
    answer = client.delete("/products")
    check_problem(answer, 405, "")
    assert answer.headers["allow"]
