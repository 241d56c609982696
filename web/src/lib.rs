//! The server: webhooks, API, pages. Nothing here yet: it comes with `pipe serve`.
