//! Requests whose body comes in chunks: where they end, and what is behind them.

use crate::backend::Backend;
use crate::wire::Wire;
use crate::world::World;

#[tokio::test]
async fn what_follows_a_body_in_chunks_is_the_next_request_and_nothing_in_it_is() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    let inner = "GET /stolen HTTP/1.1\r\nHost: a\r\n\r\n";
    let whole = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n\
         GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
        inner.len()
    );
    for cut in 0..whole.len() {
        let mut wire = Wire::to(world.address).await;
        wire.send(&whole[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        wire.send(&whole[cut..]).await.unwrap();
        let (first, second) = (wire.message(true).await.unwrap().unwrap(), wire.message(true).await.unwrap().unwrap());
        assert_eq!((first.text().as_str(), first.header("connection"), second.text().as_str()), (inner, None, "blue"));
    }
    assert_eq!(blue.seen().len(), 2 * whole.len());
    let seen = |path: &str| blue.seen().iter().filter(|one| one.first.contains(path)).count();
    assert_eq!((seen("/stolen"), seen("/next")), (0, whole.len()));
    // What two readers could end in two places: refused, and nothing behind it is looked at.
    for body in [
        "+3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "0x3\r\nabc\r\n",
        "-1\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabc\n",
        "3\r\nabcd\r\n",
        "3\r\nab\r\n",
        "3;a\nb\r\nabc\r\n",
        "3,3\r\nabc\r\n",
        "ffffffffffffffffff\r\nabc\r\n",
        "\r\n3\r\nabc\r\n",
        "0\r\nX: a\n\r\n",
        "0\n\n",
    ] {
        let head = "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut wire = Wire::to(world.address).await;
        wire.send(&format!("{head}{body}0\r\n\r\n{inner}")).await.unwrap();
        let got = String::from_utf8(wire.rest().await).unwrap();
        let answers = got.matches("HTTP/1.1 ").count();
        assert!(got.starts_with("HTTP/1.1 408 ") && answers == 1, "{body:?}: {got}");
    }
    assert_eq!((seen("/stolen"), seen("/bad")), (0, 0));
    assert_eq!(world.stats("r1").await.errors, 0, "none of it is the backend's fault");
    world.end().await;
}
