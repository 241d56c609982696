//! What is plain, and how it is written anew.

use super::*;

const LIMITS: Limits = Limits { head_bytes_max: 4_096, target_bytes_max: 100, trust_forwarded: false };

/// What the backend gets, in order; or why it is not plain.
fn written(text: &str, limits: Limits) -> String {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    match read(text.as_bytes(), &mut fields, limits) {
        Read::Partial => "partial".to_owned(),
        Read::Unusual => "unusual".to_owned(),
        Read::Plain(plain) => {
            assert_eq!(plain.size, text.find("\r\n\r\n").map_or(plain.size, |end| end + 4));
            let mut to = Vec::new();
            let id = plain.id.unwrap_or(b"new");
            plain.write(&mut to, plain.target, id, b"10.0.0.9", limits.trust_forwarded);
            String::from_utf8(to).unwrap()
        }
    }
}

#[test]
fn a_plain_head_is_written_anew() {
    let ours = "x-forwarded-for: 10.0.0.9\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n";
    for (request, expected) in [
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a\r\n\r\n",
            format!("PUT / HTTP/1.1\r\nHost: a\r\n{ours}x-request-id: new\r\ntransfer-encoding: chunked\r\n\r\n"),
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", format!("GET / HTTP/1.1\r\nHost: a\r\n{ours}x-request-id: new\r\n\r\n")),
        (
            "POST /a?b=/c%20 HTTP/1.1\r\nCONTENT-LENGTH: 007\r\nHOST: a\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n\
             Proxy-Connection: x\r\nTE:\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: b\r\nX-Request-Id: mine\r\nX-Empty:\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
            format!(
                "POST /a?b=/c%20 HTTP/1.1\r\nHOST: a\r\nX-Empty: \r\nCookie: a=1\r\nCookie: b=2\r\n{ours}\
                 x-request-id: mine\r\ncontent-length: 7\r\n\r\n"
            ),
        ),
    ] {
        assert_eq!(written(request, LIMITS), expected);
        for end in 0..request.len() {
            assert_eq!(written(&request[..end], LIMITS), "partial", "{:?}", &request[..end]);
        }
    }
    let trusting = Limits { trust_forwarded: true, ..LIMITS };
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n";
    let expected = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 1.1.1.1, 10.0.0.9\r\n\
                    x-forwarded-host: a\r\nx-request-id: new\r\n\r\n";
    assert_eq!(written(request, trusting), expected);
}

#[test]
fn what_can_be_read_in_two_ways_is_not_plain() {
    for line in [
        "GET / HTTP/1.0",
        "GET http://b/ HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /#a HTTP/1.1",
        "GET /\"a HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\\ HTTP/1.1",
        "CONNECT a:1 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "get / HTTP/1.1",
        "BREW / HTTP/1.1",
    ] {
        assert_eq!(written(&format!("{line}\r\nHost: a\r\n\r\n"), LIMITS), "unusual", "{line}");
    }
    let long = format!("X: {}", "a".repeat(4_096));
    let many = "X: a\r\n".repeat(HEADERS_MAX) + "X: b";
    for headers in [
        "X: 1",
        "Host: a\r\nHost: a",
        "Host: a\r\nTransfer-Encoding: chunked",
        "Host: a\r\nTransfer-Encoding: identity",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1",
        "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "Host: a\r\nContent-Length: +1",
        "Host: a\r\nContent-Length: 1, 1",
        "Host: a\r\nContent-Length: 0x1",
        "Host: a\r\nContent-Length:",
        "Host: a\r\nContent-Length: 18446744073709551615",
        "Host: a\r\nContent-Length: 99999999999999999999",
        "Host: a\r\nContent-Length : 1",
        "Host: a\r\n Content-Length: 1",
        "Host: a\r\n\tfolded",
        "Host: a\r\nConnection: close",
        "Host: a\r\nConnection: keep-alive, x-a",
        "Host: a\r\nConnection: content-length",
        "Host: a\r\nUpgrade: websocket\r\nConnection: upgrade",
        "Host: a\r\nUpgrade: h2c",
        "Host: a\r\nExpect: 100-continue",
        "Host: a\r\nTE: trailers",
        "Host: a\r\nX-Request-Id: 1\r\nX-Request-Id: 2",
        "Host: a\r\nX: a\u{0}b",
        "Host: a\r\nX: a\rb",
        "Host: a\r\n: a",
        "Host: a\r\nno colon",
        &long,
        &many,
    ] {
        assert_eq!(written(&format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n"), LIMITS), "unusual", "{headers:.80}");
    }
    assert_eq!(written(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100)), LIMITS), "unusual");
    assert_eq!(written("\u{16}\u{3}\u{1}", LIMITS), "unusual");
    assert_eq!(written("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", LIMITS), "unusual");
}

#[test]
fn a_body_in_chunks_is_plain_if_nothing_else_is_said_of_it() {
    for headers in [
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 1",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:",
        "X: a\r\n Transfer-Encoding: chunked",
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        assert_eq!(written(&head, LIMITS), "unusual", "{headers}");
    }
}

#[test]
fn numbers_are_written_as_they_are() {
    for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
        let mut to = Vec::new();
        write_decimal(&mut to, number);
        assert_eq!(to, number.to_string().as_bytes());
    }
}
