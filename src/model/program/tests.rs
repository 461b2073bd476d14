//! The results of programs, the programs that are refused, and the budget, which no program and no record exceeds.

use proptest::prelude::*;

use super::*;

fn run(program: &str, input: &str) -> Result<Option<String>, String> {
    let program = Program::compile(program).unwrap_or_else(|error| panic!("{program}: {error}"));
    Ok(program.run(input.as_bytes())?.map(|result| String::from_utf8(result).unwrap()))
}

fn value(program: &str, input: &str) -> String {
    run(program, input).unwrap_or_else(|error| panic!("{program}: {error}")).unwrap()
}

#[test]
fn a_program_is_send_and_sync() {
    fn is<T: Send + Sync + Clone>() {}
    is::<Program>();
}

#[test]
fn results_are_canonical_json() {
    for (program, input, expected) in [
        (".", r#"{"b": 1, "a": [true, null, "x\u0001é"]}"#, "{\"a\":[true,null,\"x\\u0001é\"],\"b\":1}"),
        ("[.prices[].amount] | min", r#"{"prices":[{"amount":3},{"amount":0.5},{"amount":12}]}"#, "0.5"),
        ("[.prices[].amount] | max", r#"{"prices":[]}"#, "null"),
        (
            r#"if .brand.name then "\(.brand.name) \(.name)" else .name end"#,
            r#"{"brand":{"name":"A"},"name":"B"}"#,
            r#""A B""#,
        ),
        (".parts | add", r#"{"parts":[1,2.5]}"#, "3.5"),
        (".parts | add", r#"{"parts":{"k":"v"}}"#, r#""v""#),
        (".total * 2", r#"{"total":3.5}"#, "7"),
        (
            r#"{name: ([.profile.first, .profile.last] | map(select(.)) | join(" ")), teamId: .team.id, skills: [.skills[]? | ascii_downcase], note: .note}"#,
            r#"{"profile":{"first":"Ada","last":"Byron"},"team":{"id":1},"skills":["Rust","SQL"]}"#,
            r#"{"name":"Ada Byron","note":null,"skills":["rust","sql"],"teamId":1}"#,
        ),
        (
            r#"[.firstName, .lastName] | map(select(. != null) | .[0:1]) | join("") | if . == "" then null else . end"#,
            r#"{"firstName":"Ada","lastName":"Lovelace"}"#,
            r#""AL""#,
        ),
        ("to_entries | map(select(.value > 1)) | from_entries", r#"{"a":1,"b":2,"c":3}"#, r#"{"b":2,"c":3}"#),
        (
            "group_by(.k) | map({(.[0].k): length}) | add",
            r#"[{"k":"x"},{"k":"y"},{"k":"x"}]"#,
            r#"{"x":2,"y":1}"#,
        ),
        (".a.b |= . + 1 | del(.c) | .d[1] = 5", r#"{"a":{"b":1},"c":2}"#, ""),
        (r#". as [$a, {b: $c}] | "\($a)-\($c)""#, r#"[1,{"b":[2]}]"#, r#""1-[2]""#),
        ("reduce .[] as $x (0; . + $x)", "[1,2,3]", "6"),
        ("[foreach .[] as $x (0; . + $x)]", "[1,2,3]", "[1,3,6]"),
        (r#"try error("x") catch ."#, "null", r#""x""#),
        (".[] as $x | $x", "[1]", "1"),
        ("def twice(f): f | f; twice(. * 2)", "3", "12"),
        ("[.. | numbers]", r#"[1,[2,{"a":3}]]"#, "[1,2,3]"),
        ("walk(if type == \"string\" then ascii_upcase else . end)", r#"{"a":["b"]}"#, r#"{"a":["B"]}"#),
        ("[paths]", r#"{"a":[1]}"#, r#"[["a"],["a",0]]"#),
        ("with_entries(.value += 1)", r#"{"a":1}"#, r#"{"a":2}"#),
        (
            r##"[test("^\\d+$"), gsub("\\d"; "#"), (capture("(?<y>\\d)") | .y), ([scan("\\d")] | length)]"##,
            r#""42""#,
            r###"[true,"##","4",2]"###,
        ),
        (r#"split(",") | map(tonumber) | sort_by(-.) | unique"#, r#""3,1,2,3""#, "[1,2,3]"),
        ("[-1e300, 1e300, 9223372036854775807, 1e15 | try todate catch 0]", "null", "[0,0,0,0]"),
        (". * {a: {b: 2}}", r#"{"a":{"c":1}}"#, r#"{"a":{"b":2,"c":1}}"#),
        (
            "[.[] | tojson, (tojson | fromjson)]",
            r#"[{"b":1,"a":2}]"#,
            r#"["{\"a\":2,\"b\":1}",{"a":2,"b":1}]"#,
        ),
        ("[length, (.[1:] | length), .[-1:], index(\"é\"), explode[0]]", r#""aéb""#, r#"[3,2,"b",1,97]"#),
        (
            "[has(\"a\"), has(\"b\"), (keys | length), contains({a: [1]}), inside({a: [1, 2], b: 3})]",
            r#"{"a":[1]}"#,
            "[true,false,1,true,true]",
        ),
        (".[1:] + .[:1] | [.[-1], index(2), transpose?]", "[1,2,3]", ""),
        (
            "[10 / 4, 10 / 5, 7 % 3, -7 % 3, 1e3, 1.50, (nan | isnan), (nan < nan), ([nan, 1] | sort)]",
            "null",
            "[2.5,2,1,-1,1e3,1.50,true,false,[null,1]]",
        ),
        ("\"2024-01-02T03:04:05Z\" | fromdate | todate", "null", r#""2024-01-02T03:04:05Z""#),
        ("[splits(\", *\")] | @csv?", r#""a, b""#, ""),
        ("@base64 + @uri + @html + @json", r#""<é>""#, r#""PMOpPg==%3C%C3%A9%3E&lt;é&gt;\"<é>\"""#),
    ] {
        let Ok(compiled) = Program::compile(program) else {
            assert_eq!(expected, "", "{program}");
            continue;
        };
        let result = compiled.run(input.as_bytes());
        if expected.is_empty() {
            continue;
        }
        let result = result.unwrap_or_else(|error| panic!("{program}: {error}")).unwrap();
        assert_eq!(String::from_utf8(result).unwrap(), expected, "{program}");
    }
}

#[test]
fn numbers_keep_their_digits_unless_they_are_calculated_with() {
    let numbers =
        "[9007199254740993,123456789012345678901234567890,0.1000000000000000055511151231257827,-0,1e+400]";
    assert_eq!(value("[.[]]", numbers), numbers);
    assert_eq!(value(".[0] + 1", numbers), "9007199254740994");
    assert_eq!(value(".[1] + 1", numbers), "1.2345678901234568e+29");
    assert_eq!(value("9223372036854775807 + 1", "null"), "9.223372036854776e+18");
    assert_eq!(value(".[4] - .[4] | isnan", numbers), "true");
}

#[test]
fn numbers_beyond_doubles_are_compared_and_rounded_by_their_digits() {
    let ids = "[18446744073709551615,18446744073709551614,9007199254740993,9007199254740992.0]";
    let in_order = "[9007199254740992.0,9007199254740993,18446744073709551614,18446744073709551615]";
    assert_eq!(value("sort", ids), in_order);
    assert_eq!(value("[(unique | length), .[2] == .[3], .[0] == .[1]]", ids), "[4,false,false]");
    assert_eq!(
        value("[1.50 == 1.5, 1e1 == 10, 10 / 4 == 2.5, 1e400 == 1e401]", "null"),
        "[true,true,true,true]"
    );
    for program in ["pow(2;60) == 1152921504606846976", "1700000000.123*1e9 | . == floor", "1e17 == 1e17*1"] {
        assert_eq!(value(program, "null"), "true", "{program}: a whole double is the integer that it is");
    }
    let written = "[18446744073709551615,9007199254740993.0,9007199254740992.5,1e400]";
    assert_eq!(
        value("[.[] | floor]", written),
        "[18446744073709551615,9007199254740993.0,9007199254740992,1e+400]"
    );
}

#[test]
fn there_is_one_result_or_none() {
    assert_eq!(run("empty", "1"), Ok(None));
    assert_eq!(run("null", "1"), Ok(Some("null".to_owned())));
    assert!(run("., .", "1").unwrap_err().contains("more than one"));
    assert!(run(".[]", "1").unwrap_err().contains("1"));
    assert_eq!(run("error(\"no good\")", "1").unwrap_err(), "no good");
    assert!(run("error(.)", &format!("{:?}", "x".repeat(5_000))).unwrap_err().len() <= MESSAGE_BYTES_MAX);
    assert!(run(".", "{").unwrap_err().contains("no JSON"));
    assert!(run("[.[] , .[]]", &format!("[{:?}]", "x".repeat(600_000))).unwrap_err().contains("1048576"));
}

#[test]
fn programs_that_see_more_than_their_input_or_need_not_end_are_refused_by_name() {
    for name in library::REFUSED {
        for program in [
            name.to_owned(),
            format!("[.a | {name}(.)]"),
            format!("map({{a: \"\\({name}(1; 2))\"}})"),
            format!("def f: {name}; f"),
            format!("reduce {name} as $x (0; .)"),
            format!(".[{name}]?"),
            format!(". as {{a: $x, ({name}): $y}} | 1"),
            format!("if . then {name} else 1 end"),
            format!("try 1 catch {name}"),
            format!("-{name}"),
        ] {
            let refusal = Program::compile(&program).unwrap_err();
            assert!(refusal.contains(name), "{program}: {refusal}");
        }
    }
    for (program, reason) in [
        ("$ENV", "$ENV"),
        ("$ENV.HOME", "$ENV"),
        ("def f: f; f", "f is recursive"),
        ("def f(g): if . then f(g | .) else . end; f(1)", "f is recursive"),
        ("def f: def g: f; g; f", "f is recursive"),
        ("\"x\" * 1000", "repetition"),
        (". * \"x\"", "repetition"),
        (".a *= \"x\"", "repetition"),
        ("import \"a\" as a; .", "import"),
        ("module {}; def f: f; f", "module"),
        ("test(.pattern)", "written out"),
        ("gsub(\"\\(.p)\"; \"\")", "interpolated"),
        ("test(\"(a{100}){100}\")", "too large"),
        ("selct(.a)", "nearest: select"),
        ("jn(1; 2)", "jn"),
        ("$x", "$x"),
        (". |", "its end"),
        ("[1, 2", "its end"),
        (". ) .", "line 1"),
        ("", "its end"),
        ("input_filename", "input_filename"),
        ("combinations(3)", "combinations"),
    ] {
        let refusal = Program::compile(program).err().unwrap_or_else(|| panic!("{program}"));
        assert!(refusal.contains(reason), "{program}: {refusal}");
    }
    assert!(Program::compile(&".".repeat(SOURCE_BYTES_MAX + 1)).is_err());
    // At run time the factor may be anything.
    assert!(run(".a * .b", r#"{"a":"x","b":100000000}"#).unwrap_err().contains("too many steps"));
    assert_eq!(run(".a * .b", r#"{"a":"vw","b":2}"#).unwrap().as_deref(), Some("\"vwvw\""));
    assert_eq!(run(".a * .b", r#"{"a":"x","b":0}"#).unwrap().as_deref(), Some("null"));
}

/// A budget that is used up soon.
const FEW: u64 = 200_000;

/// A program that repeats a part.
fn repeat(part: &str, times: usize) -> String {
    vec![part; times].join(" | ")
}

#[test]
fn nothing_goes_beyond_the_budget() {
    let doubled = |last: &str| format!("{} | {last}", repeat("[., .]", 60));
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let wide = format!("[{}]", vec!["1"; 5_000].join(","));
    for (program, input) in [
        (doubled("tojson"), "\"x\""),
        (doubled("@text"), "\"x\""),
        (doubled(". == ."), "\"x\""),
        (doubled("flatten"), "\"x\""),
        (doubled("[..] | length"), "\"x\""),
        (doubled("[paths] | length"), "\"x\""),
        (repeat("{a: ., b: .}", 60), "1"),
        (repeat(". + .", 60), "\"abcdef\""),
        (repeat(". + .", 60), "[1]"),
        (format!("[{}] | length", repeat("(., .)", 60)), "1"),
        (format!("first({} | select(false))", repeat("(1, 2)", 60)), "1"),
        ("[.[] as $a | .[] as $b | .[] as $c | 1] | length".to_owned(), &wide),
        ("[.[] | . as $x | [1, 2] | map($x)] | combinations".to_owned(), &wide),
        ("reduce .[] as $x (.; . + .)".to_owned(), &wide),
        ("reduce .[] as $x (1; [., .])".to_owned(), &wide),
        ("reduce .[] as $x (1; {a: .})".to_owned(), &wide),
        ("[.[] as $x | .[]] | sort".to_owned(), &wide),
        (repeat("[.[], .[]]", 40), &wide),
        (repeat("(.[] , .[]) |= [., .]", 40), "[1,2]"),
        ("[limit_of]".replace("limit_of", &repeat("@html", 60)), "\"<\""),
        (repeat("tojson", 60), "\"\\\"\""),
        (repeat("walk([., .])", 30), "[1]"),
        (".[1e12] = 1".to_owned(), "[]"),
        (".[-1e300:1e300] = [1]".to_owned(), "[]"),
        (repeat("map_values([., .])", 60), "[1]"),
        (".".to_owned(), &deep),
        ("[.[] as $a | .[] | {($a | tostring): .}] | add | keys | combinations".to_owned(), &wide),
        (". as $x | [.[] | $x - [.]] | length".to_owned(), &wide),
        ("[.[] | tostring] | . as $x | map($x | index(\"4999\")) | length".to_owned(), &wide),
    ] {
        let compiled = Program::compile(&program).unwrap_or_else(|error| panic!("{program}: {error}"));
        match compiled.run_within(input.as_bytes(), FEW) {
            Ok(result) => assert!(result.is_none_or(|result| result.len() <= RESULT_BYTES_MAX), "{program}"),
            Err(error) => assert!(!error.contains("broke off"), "{program}: {error}"),
        }
    }
}

#[test]
fn a_large_document_is_well_within_the_budget() {
    let contacts: Vec<String> = (0..10_000)
        .map(|n| format!(r#"{{"id":"c{n}","name":"Jane Doe {n}","email":"jane{n}@example.test","role":"CTO","tags":["a","b"],"amount":{n}.5}}"#))
        .collect();
    let document = format!(r#"{{"contacts":[{}]}}"#, contacts.join(","));
    assert_eq!(value("[.contacts[].amount] | max", &document), "9999.5");
    assert_eq!(value("reduce .contacts[] as $c ([]; . + [$c.name]) | length", &document), "10000");
    assert_eq!(value("reduce .contacts[] as $c (\"\"; . + $c.role) | length", &document), "30000");
    assert_eq!(value("[.contacts[] | .tags[]] | unique", &document), r#"["a","b"]"#);
    assert_eq!(
        value("[.contacts | group_by(.role)[] | {role: .[0].role, n: length}]", &document),
        r#"[{"n":10000,"role":"CTO"}]"#
    );
    assert_eq!(
        value(".contacts | map(.email | split(\"@\")[1]) | unique[0]", &document),
        r#""example.test""#
    );
}

#[test]
fn deep_programs_do_not_exhaust_the_stack() {
    let within =
        |count: usize, open: &str, close: &str| format!("{}.{}", open.repeat(count), close.repeat(count));
    for program in [
        within(8_000, "(", ")"),
        within(8_000, "[", "]"),
        within(2_600, "{a:", "}"),
        within(8_000, "-", ""),
        within(8_000, "-(", ""),
        within(5_000, "try ", ""),
        within(8_000, ".|", ""),
        within(5_000, ".,", ""),
        within(5_000, "1+", ""),
        within(2_000, "\"\\(", ")\""),
        within(1_000, "if . then ", " else . end"),
        within(1_000, ". as $x | ", ""),
        within(1_000, "[.[]|", "]"),
        within(1_000, "def f: .; ", ""),
        within(900, "walk(", ")"),
        within(900, "first(", ")"),
        within(600, "reduce . as $x (.; ", ")"),
        format!("{}x", "def x: .; ".repeat(1_000)),
    ] {
        if let Ok(compiled) = Program::compile(&program) {
            let _ = compiled.run_within(b"[[1],{\"a\":2}]", FEW);
            let _ = compiled.run_within(b"1", FEW);
        }
    }
}

/// Terms of programs.
fn program() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        ".",
        "..",
        ".a",
        ".[0]",
        ".[]",
        ".[]?",
        "1",
        "-1.5",
        "\"x\"",
        "null",
        "[]",
        "{}",
        "empty",
        "add",
        "keys",
        "length",
        "tojson",
        "tostring",
        "sort",
        "flatten",
        "to_entries",
        "paths",
        "type",
        "error",
        "not",
        "unique",
        "min",
        "reverse",
        "explode",
        "fromjson",
        "tonumber",
        "transpose",
        "combinations",
        "ascii_downcase",
        "@text",
        "@base64",
        "@sh",
        "first",
        "last",
        ".[1:]",
        "from_entries",
        "nan",
        "infinite",
        "floor",
        "implode",
        "@base64d",
        "todate",
        "fromdate",
        "gmtime",
        "mktime",
        "any",
        "all",
        "$__loc__",
        "values",
        "ltrimstr(\"x\")",
        "test(\"x\")",
        "frexp",
        "logb",
        "significand",
        "gamma",
        "@uri",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(vec![
                    "|", ",", "+", "-", "*", "/", "%", "//", "==", "<", "and", "or", "|=", "=", "+=", "//=",
                    "-="
                ])
            )
                .prop_map(|((left, right), operator)| format!("({left}) {operator} ({right})")),
            (
                inner.clone(),
                prop::sample::select(vec![
                    "map",
                    "select",
                    "walk",
                    "path",
                    "del",
                    "sort_by",
                    "group_by",
                    "min_by",
                    "any",
                    "all",
                    "with_entries",
                    "map_values",
                    "first",
                    "isempty",
                    "has",
                    "contains",
                    "indices",
                    "inside",
                    "in",
                    "split",
                    "join",
                    "ltrimstr",
                    "getpath",
                    "paths",
                    "add",
                    "error",
                    "pick",
                    "last",
                    "index",
                    "bsearch",
                    "flatten",
                    "strftime",
                    "nth",
                    "to_entries|map",
                    "pow10|map"
                ])
            )
                .prop_map(|(term, function)| format!("{function}({term})")),
            inner.clone().prop_map(|term| format!("[{term}]")),
            two.clone().prop_map(|(key, value)| format!("{{a: ({value}), ({key}): 1}}")),
            two.clone().prop_map(|(source, body)| format!("reduce ({source}) as $x (.; {body})")),
            two.clone().prop_map(|(source, body)| format!("[foreach ({source}) as $x (.; {body}; [., $x])]")),
            two.clone().prop_map(|(source, body)| format!("({source}) as $x | ({body})")),
            two.clone().prop_map(|(left, right)| format!("if {left} then {right} else . end")),
            two.clone().prop_map(|(left, right)| format!("try ({left}) catch ({right})")),
            two.clone().prop_map(|(left, right)| format!(".[({left}):({right})]")),
            two.prop_map(|(left, right)| format!(
                "label $out | ({left}) | if . then break $out else {right} end"
            )),
            inner.clone().prop_map(|term| format!("\"a\\({term})b\"")),
            inner.prop_map(|term| format!("def f(g): [g, g]; f({term})")),
        ]
    })
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        prop::sample::select(vec!["1e400", "-0", "0.1", "123456789012345678901234567890", "-1e-400", "1E+5"])
            .prop_map(str::to_owned),
        ".{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_program_ends_on_any_value_and_gives_the_same_canonical_json_again(program in program(), input in json()) {
        let Ok(compiled) = Program::compile(&program) else { return Ok(()) };
        let result = compiled.run_within(input.as_bytes(), FEW);
        prop_assert_eq!(&result, &compiled.run_within(input.as_bytes(), FEW), "{}", program);
        match result {
            Ok(Some(result)) => {
                let again: serde_json::Value = serde_json::from_slice(&result).unwrap();
                prop_assert_eq!(again.to_string(), String::from_utf8(result).unwrap(), "{}", program);
            }
            Ok(None) => {}
            Err(error) => prop_assert!(!error.contains("broke off"), "{}: {}", program, error),
        }
    }

    #[test]
    fn any_text_is_a_program_or_refused(text in "[.\\[\\]{}()|,:;$@\"\\\\a-f0-9 +*/<>=?-]{0,40}") {
        let _ = Program::compile(&text).map(|program| program.run_within(b"{\"a\":[1,2]}", FEW));
    }
}
