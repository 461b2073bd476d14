//! The model of a library, and its log.

use serde_json::json;

use crate::harness::GrowingLog;

/// A library: books refer to several authors and to a genre in a tree, copies refer to books, and loans to copies.
pub const LIBRARY: &str = r#"
[entities.books]
format = "plain"
[entities.books.fields]
heading = "string"
isbn = "string"
pages = "integer"
price = "number"
published = "date"
inPrint = "boolean"
shelf = { type = "string", default = { value = "cellar" } }
hotline = "string"
authorIds = { references = "authors", list = true }
genreId = { references = "genres" }

[entities.authors]
format = "plain"
[entities.authors.fields]
name = "string"
country = "string"
prizes = "strings"
born = "integer"
phone = "string"

[entities.genres]
format = "plain"
[entities.genres.fields]
name = "string"
parentId = { references = "genres" }

[entities.copies]
format = "plain"
[entities.copies.fields]
number = "string"
room = "string"
floor = "integer"
bought = "date"
bookId = { references = "books" }

[entities.loans]
format = "plain"
[entities.loans.fields]
borrower = "string"
weeks = "integer"
copyId = { references = "copies" }

[projections.books]
of = "books"
show = ["heading", "isbn", "pages", "price", "published", "inPrint", "shelf", "hotline"]
rest = "extra"
[[projections.books.embed]]
as = "authors"
reference = "authorIds"
show = ["name", "country", "prizes", "born", "phone"]
[[projections.books.embed]]
as = "genre"
reference = "genreId"
show = ["name"]
[[projections.books.embed.embed]]
as = "path"
above = "parentId"
ids = true
[[projections.books.embed]]
as = "copies"
from = "copies.bookId"
show = ["number", "room", "floor", "bought"]
max = 2
count = "copyCount"
truncated = "copiesTruncated"
[[projections.books.embed.embed]]
as = "loans"
from = "loans.copyId"
show = ["borrower", "weeks"]
count = "loanCount"
[projections.books.compute]
label = '"\(.heading) at \(.shelf)"'
perPage = 'if .price and .pages then .price / .pages else null end'
size = 'if .pages == null then null elif .pages > 400 then "thick" else "thin" end'

[projections.books.search]
title = "heading"
words = ["heading", "isbn", "pages", "shelf", "label"]
phones = ["hotline"]
under = "genre.path"
hit = ["price", "published", "genre", "copyCount"]
[projections.books.search.filters]
shelf = "shelf"
inPrint = "inPrint"
pages = "pages"
price = "price"
published = "published"
author = "authors.name"
country = "authors.country"
genre = "genre.id"
copies = "copyCount"
room = "copies.room"
floor = "copies.floor"
bought = "copies.bought"
borrower = "copies.loans.borrower"
weeks = "copies.loans.weeks"
size = "size"
perPage = "perPage"
colour = "extra.colour"
[projections.books.search.embed.copies]
words = ["number", "room"]
[projections.books.search.embed.authors]
words = ["name", "prizes", "born"]
phones = ["phone"]

[projections.copies]
of = "copies"
[[projections.copies.embed]]
as = "book"
reference = "bookId"
show = ["heading"]
[projections.copies.search]
title = "number"
words = ["number", "room"]
filters = { room = "room", floor = "floor", bought = "bought" }

[projections.genres]
of = "genres"
[[projections.genres.embed]]
as = "ancestors"
above = "parentId"
show = ["name"]
[projections.genres.search]
under = "ancestors"
[projections.genres.search.embed.ancestors]
words = ["name"]

[projections.authors]
of = "authors"
[[projections.authors.embed]]
as = "books"
from = "books.authorIds"
show = ["heading", "pages"]
[projections.authors.search]
[projections.authors.search.embed.books]
words = ["heading"]
"#;

pub fn library() -> GrowingLog {
    let log = GrowingLog::new();
    for (id, name, parent) in
        [("g1", "Fiction", None), ("g2", "Crime fiction", Some("g1")), ("g3", "Cookery", None)]
    {
        log.append("genres", id, &json!({"name": name, "parentId": parent}));
    }
    for (id, name, country) in
        [("a1", "Maren Holt", "NO"), ("a2", "Ilse Brandt", "DE"), ("a3", "Jean-Luc Petit", "FR")]
    {
        let prizes = if id == "a2" { json!(["Golden Quill", "Bergen"]) } else { json!([]) };
        log.append("authors", id, &json!({"name": name, "country": country, "prizes": prizes, "born": 1961, "phone": format!("+47 22 85 50 5{}", &id[1..])}));
    }
    let books = [
        (
            "b1",
            json!({"heading": "The Cold Harbour", "isbn": "978-0-1234", "pages": 412, "price": 19.90, "published": "2024-03-05", "inPrint": true, "authorIds": ["a1", "a2"], "genreId": "g2", "colour": "blue", "hotline": "+44 20 7946 0018"}),
        ),
        (
            "b2",
            json!({"heading": "Harbour Lights", "isbn": "978-0-5678", "pages": 230, "price": 9.5, "published": "2023-12-31T23:30:00Z", "inPrint": false, "shelf": "attic", "authorIds": ["a1"], "genreId": "g1", "colour": "red"}),
        ),
        (
            "b3",
            json!({"heading": "Bread at Home", "pages": 400, "price": 20, "published": "2024", "inPrint": true, "shelf": "attic", "authorIds": ["a3"], "genreId": "g3"}),
        ),
        ("b4", json!({"heading": "Untold"})),
    ];
    for (id, fields) in &books {
        log.append("books", id, fields);
    }
    let copies = [
        ("c1", "K-101", "north", 1, "2024-01-10", "b1"),
        ("c2", "K-102", "south", 2, "2024-02-10", "b1"),
        // The first two alone are embedded.
        ("c3", "K-103", "tower", 3, "2024-03-10", "b1"),
        ("c4", "K-201", "north", 2, "2023-05-01", "b2"),
        ("c5", "K-202", "south", 1, "2023-06-01", "b2"),
        ("3141592", "K-301", "south", 3, "2022-01-01", "b3"),
    ];
    for (id, number, room, floor, bought, book) in copies {
        log.append(
            "copies",
            id,
            &json!({"number": number, "room": room, "floor": floor, "bought": bought, "bookId": book}),
        );
    }
    for (id, borrower, weeks, copy) in
        [("l1", "Ida", 2, "c1"), ("l2", "Omar", 6, "c1"), ("l3", "Ida", 8, "c4")]
    {
        log.append("loans", id, &json!({"borrower": borrower, "weeks": weeks, "copyId": copy}));
    }
    log
}
