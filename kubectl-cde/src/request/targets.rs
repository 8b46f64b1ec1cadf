//! Lists of connectors, as people have them: arguments, lines of text, or CSV.

use csv::{ReaderBuilder, StringRecord, Trim};
use uuid::Uuid;

/// A connector of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its ID.
    pub(crate) connector: Uuid,
    /// The version, if the list names one.
    pub(crate) version: Option<String>,
    /// A name for people, if the list has one.
    pub(crate) name: Option<String>,
}

/// The cells of a line, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// A connector ID, or the name of a request.
    pub(crate) word: String,
    version: Option<String>,
    name: Option<String>,
}

/// A column of CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Connector,
    Version,
    Name,
    /// Without a title, as spreadsheets leave them. Its cells must be empty.
    Untitled,
}

/// The titles of columns. They are compared without case, `-` and `_`, and the first of a column is its usual one.
const TITLES: [(&str, Column); 8] = [
    ("connector", Column::Connector),
    ("version", Column::Version),
    ("name", Column::Name),
    ("connectorid", Column::Connector),
    ("id", Column::Connector),
    ("uuid", Column::Connector),
    ("cdeid", Column::Connector),
    ("", Column::Untitled),
];

/// A line of a list with its number, or why it is not one.
pub(crate) type Line = (u64, Result<Row, String>);

/// Reads a list of connectors. An error names every line that is wrong, so that one run shows them all.
pub(crate) fn parse(text: &str) -> Result<Vec<Target>, String> {
    let mut errors = Vec::new();
    let mut targets = Vec::new();
    for (line, row) in lines(text)? {
        match row.and_then(|row| target(&row.word, row.version.as_deref(), row.name.as_deref())) {
            Ok(target) => targets.push((line, target)),
            Err(why) => errors.push(format!("line {line}: {why}")),
        }
    }
    repeated(&targets, &mut errors);
    if errors.is_empty() {
        Ok(targets.into_iter().map(|(_, target)| target).collect())
    } else {
        Err(errors.join("; "))
    }
}

/// Reads the lines of a list. It is an error if there are none, or if a header has another column.
pub(crate) fn lines(text: &str) -> Result<Vec<Line>, String> {
    let numbered = || (1_u64..).zip(text.lines());
    let mut filled = numbered().filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'));
    let (number, first) = filled.next().ok_or("the list is empty")?;
    let delimiter = [b';', b'\t'].into_iter().find(|byte| first.as_bytes().contains(byte)).unwrap_or(b',');
    let Some(columns) = columns(first, delimiter).map_err(|why| format!("line {number}: {why}"))? else {
        return Ok(numbered().filter_map(|(line, text)| Some((line, plain(text).transpose()?))).collect());
    };
    let mut reader = ReaderBuilder::new();
    reader.delimiter(delimiter).comment(Some(b'#')).flexible(true).trim(Trim::All);
    let mut lines = Vec::new();
    for record in reader.from_reader(text.as_bytes()).records() {
        let record = record.map_err(|error| format!("the list is not CSV: {error}"))?;
        lines.push((record.position().map_or(0, csv::Position::line), row(&columns, &record)));
    }
    Ok(lines)
}

/// Reads one line of a plain list: an ID or a name, an optional version, an optional comment.
fn plain(line: &str) -> Result<Option<Row>, String> {
    let line = line.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default();
    let mut words =
        line.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    let Some(word) = words.next() else { return Ok(None) };
    let row = Row { word: word.to_owned(), version: words.next().map(str::to_owned), ..Row::default() };
    match words.next() {
        Some(word) => Err(format!("{word:?} is too much: write a connector ID and a version")),
        None => Ok(Some(row)),
    }
}

/// Returns a target, if its fields are valid.
pub(crate) fn target(id: &str, version: Option<&str>, name: Option<&str>) -> Result<Target, String> {
    let connector = Uuid::try_parse(id).ok().filter(|_| id.len() == 36);
    let connector = connector.ok_or_else(|| {
        format!(
            "{id:?} is not a connector ID; a connector ID looks like 497f6eca-6276-4993-bfeb-53cbbbba6f08"
        )
    })?;
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let version = given(version);
    if let Some(version) = &version {
        check_version(version)?;
    }
    Ok(Target { connector, version, name: given(name) })
}

/// Accepts what the API server accepts as a version.
pub(crate) fn check_version(version: &str) -> Result<(), String> {
    let is_major = !version.is_empty()
        && version.len() <= 9
        && version.bytes().all(|byte| byte.is_ascii_digit())
        && (version == "0" || !version.starts_with('0'));
    if is_major || ["main", "latest"].contains(&version) {
        return Ok(());
    }
    Err(format!("the version {version:?} is not main, latest or a major number: for version 1.0.5 write 1"))
}

/// Returns the columns if the line is a header: if it names the column of the connectors.
fn columns(line: &str, delimiter: u8) -> Result<Option<Vec<Column>>, String> {
    let cells = line.trim_start_matches('\u{feff}').split(char::from(delimiter));
    let titles: Vec<&str> = cells.map(|cell| cell.trim().trim_matches('"').trim()).collect();
    let known = |title: &str| {
        let title = title.to_lowercase().replace(['-', '_', ' '], "");
        TITLES.into_iter().find(|(known, _)| *known == title).map(|(_, column)| column)
    };
    if !titles.iter().any(|title| known(title) == Some(Column::Connector)) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for title in titles {
        let Some(column) = known(title) else {
            let names = TITLES.map(|(title, _)| title);
            return Err(format!("unknown column {title:?}: the columns are {}", names[..3].join(", ")));
        };
        if column != Column::Untitled && columns.contains(&column) {
            return Err(format!("the column {title:?} repeats another one"));
        }
        columns.push(column);
    }
    Ok(Some(columns))
}

fn row(columns: &[Column], record: &StringRecord) -> Result<Row, String> {
    let mut row = Row::default();
    for (index, cell) in record.iter().enumerate() {
        match columns.get(index) {
            Some(Column::Connector) => cell.clone_into(&mut row.word),
            Some(Column::Version) => row.version = Some(cell.to_owned()),
            Some(Column::Name) => row.name = Some(cell.to_owned()),
            Some(Column::Untitled) | None if cell.is_empty() => {}
            Some(Column::Untitled) | None => {
                return Err(format!("{cell:?} is in no column: put a text with a separator in quotes"));
            }
        }
    }
    Ok(row)
}

/// Refuses a line that repeats an earlier one: one of them is a mistake, or two requests for one connector are.
fn repeated(targets: &[(u64, Target)], errors: &mut Vec<String>) {
    let mut seen = std::collections::BTreeMap::new();
    for (line, target) in targets {
        if let Some(first) = seen.insert((target.connector, target.version.as_deref()), line) {
            errors.push(format!("line {line} repeats line {first}"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const A: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";
    const B: &str = "0d3a8a65-2b0c-4b57-93c3-0a2f1c9a3f11";

    fn read(text: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let all = parse(text).unwrap().into_iter();
        all.map(|target| (target.connector.to_string(), target.version, target.name)).collect()
    }

    #[test]
    fn a_plain_list_has_versions_comments_and_capital_letters() {
        let list = format!("# incident 4711\n\n{} 2 # checked\r\n  {B}, latest\n", A.to_uppercase());
        let expected =
            [(A.to_owned(), Some("2".to_owned()), None), (B.to_owned(), Some("latest".to_owned()), None)];
        assert_eq!(read(&list), expected);
    }

    #[test]
    fn csv_is_recognized_by_its_header() {
        let expected =
            [(A.to_owned(), None, Some("Shop, EU".to_owned())), (B.to_owned(), Some("1".to_owned()), None)];
        let comma = format!("\u{feff}Name,connector_ID,Version,\n\"Shop, EU\",{A},,\n# no\n,{B},1\n");
        let semicolon = format!("name;id;version\n\"Shop, EU\";{A};\n;{B};1\n");
        assert_eq!(read(&comma), expected);
        assert_eq!(read(&semicolon), expected);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let list = format!("{A} 1.0.5\nnot-an-id\n{B}\n{B}\n{A} 1 x\n");
        let error = parse(&list).unwrap_err();
        for part in [
            "line 1: the version \"1.0.5\"",
            "line 2: \"not-an-id\"",
            "line 4 repeats line 3",
            "line 5: \"x\"",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(parse("# nothing\n").is_err());
        for (csv, why) in [
            (
                format!("# x\nid,verson\n{A},1\n"),
                "line 2: unknown column \"verson\": the columns are connector, version, name",
            ),
            (format!("id,uuid\n{A},{B}\n"), "line 1: the column \"uuid\" repeats another one"),
            (format!("id,name\n{A},Shop, EU\n"), "line 2: \"EU\" is in no column"),
        ] {
            let error = parse(&csv).unwrap_err();
            assert!(error.starts_with(why), "{why}: {error}");
        }
        let csv = format!("id,version\n{A},01\nx,1\n");
        assert!(parse(&csv).unwrap_err().contains("line 2: the version"), "{:?}", parse(&csv));
    }
}
