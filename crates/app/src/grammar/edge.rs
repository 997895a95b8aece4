//! The tables about HTTP.

use super::{Kind, Naming, Shape, TEXT, Table, key, scalar, table};

pub(super) static DOMAIN: Table = table(
    "domain",
    "a domain",
    "A host name of a service.",
    &[
        key("host", scalar(Kind::Host), "The host name.")
            .example("\"www.shop.example.com\"")
            .required(),
        key(
            "redirect",
            scalar(Kind::Host),
            "Answers with a redirect to this host instead.",
        )
        .example("\"shop.example.com\""),
    ],
);

pub(super) static ROUTE: Table = table(
    "route",
    "a route",
    "A host and a path that lead to a service.",
    &[
        key("host", scalar(Kind::Host), "The host name; any by default.")
            .example("\"shop.example.com\""),
        key(
            "path",
            scalar(Kind::HttpPath),
            "The path's beginning, cut at slashes.",
        )
        .default("\"/\"")
        .example("\"/api\""),
        key(
            "strip",
            scalar(Kind::Boolean),
            "Whether that beginning is taken off before the app sees it.",
        )
        .default("false")
        .example("true"),
    ],
);

pub(super) static SMOKE: Table = table(
    "smoke",
    "a smoke test",
    "A page fetched after the switch.",
    &[
        key("path", scalar(Kind::HttpPath), "Its path.")
            .example("\"/docs\"")
            .required(),
        key(
            "status",
            scalar(Kind::Status),
            "The status expected; any 2xx by default.",
        )
        .example("200"),
        key(
            "contains",
            scalar(Kind::Text),
            "A text that its body must contain.",
        )
        .example("\"Swagger\""),
        key(
            "headers",
            Shape::Map(Naming::Header, &TEXT),
            "Headers sent.",
        )
        .example("{ Accept = \"text/html\" }"),
    ],
);

pub(super) static CORS: Table = table(
    "cors",
    "`cors`",
    "Cross-origin answers.",
    &[
        key(
            "origins",
            Shape::List(&scalar(Kind::Origin)),
            "Origins that may read.",
        )
        .example("[\"https://chat.example.com\"]")
        .required(),
        key("methods", Shape::List(&TEXT), "Methods allowed.")
            .default("[\"GET\", \"HEAD\", \"POST\"]")
            .example("[\"GET\"]"),
        key("headers", Shape::List(&TEXT), "Request headers allowed.")
            .default("[]")
            .example("[\"Authorization\"]"),
        key(
            "credentials",
            scalar(Kind::Boolean),
            "Whether cookies and logins are allowed.",
        )
        .default("false")
        .example("true"),
    ],
);

pub(super) static HTTP: Table = table(
    "http",
    "`http`",
    "Limits and headers of HTTP.",
    &[
        key("max-body", scalar(Kind::Size), "Largest request body.").example("\"10MiB\""),
        key(
            "rate",
            scalar(Kind::Rate),
            "Requests per second and client.",
        )
        .example("\"50/s\"")
        .later(),
        key(
            "timeout",
            scalar(Kind::Time),
            "How long an answer's first byte may take.",
        )
        .default("\"60s\"")
        .example("\"5m\""),
        key(
            "headers",
            Shape::Map(Naming::Header, &TEXT),
            "Headers set on each answer.",
        )
        .example("{ X-Frame-Options = \"DENY\" }"),
    ],
)
.always();

pub(super) static REDIRECT: Table = table(
    "redirect",
    "a redirect",
    "A redirect answered in front of the app.",
    &[
        key(
            "from",
            scalar(Kind::HttpPath),
            "A path; `*` at its end for anything.",
        )
        .example("\"/old/*\"")
        .required(),
        key(
            "to",
            scalar(Kind::Filled),
            "Where to; `:splat` is what `*` matched.",
        )
        .example("\"/new/:splat\"")
        .required(),
        key(
            "status",
            scalar(Kind::RedirectStatus),
            "301, 302, 307 or 308.",
        )
        .default("301")
        .example("308"),
    ],
);
