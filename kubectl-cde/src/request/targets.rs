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

/// Columns that hold the ID of the connector. Names are compared without case, `-` and `_`.
const CONNECTOR: [&str; 5] = ["connector", "connectorid", "id", "uuid", "cdeid"];

/// Reads a list. An error names every line that is wrong, so that one run shows them all.
pub(crate) fn parse(text: &str) -> Result<Vec<Target>, String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines().next().ok_or("the list is empty")?;
    let delimiter = [b';', b'\t'].into_iter().find(|byte| first.as_bytes().contains(byte)).unwrap_or(b',');
    let columns = columns(first, delimiter);
    let mut errors = Vec::new();
    let mut targets = Vec::new();
    if let Some(columns) = columns {
        let mut reader = ReaderBuilder::new();
        reader.delimiter(delimiter).comment(Some(b'#')).flexible(true).trim(Trim::All);
        for record in reader.from_reader(text.as_bytes()).records() {
            let record = record.map_err(|error| format!("the list is not CSV: {error}"))?;
            let line = record.position().map_or(0, csv::Position::line);
            match columns.target(&record) {
                Ok(target) => targets.push((line, target)),
                Err(why) => errors.push(format!("line {line}: {why}")),
            }
        }
    } else {
        for (index, line) in (1_u64..).zip(text.lines()) {
            match plain(line) {
                Ok(Some(target)) => targets.push((index, target)),
                Ok(None) => {}
                Err(why) => errors.push(format!("line {index}: {why}")),
            }
        }
    }
    repeated(&targets, &mut errors);
    if errors.is_empty() {
        Ok(targets.into_iter().map(|(_, target)| target).collect())
    } else {
        Err(errors.join("; "))
    }
}

/// Reads one line of a plain list: an ID, an optional version, an optional comment.
fn plain(line: &str) -> Result<Option<Target>, String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words =
        line.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    let Some(id) = words.next() else { return Ok(None) };
    let target = target(id, words.next(), None)?;
    match words.next() {
        Some(word) => Err(format!("{word:?} is too much: write a connector ID and a version")),
        None => Ok(Some(target)),
    }
}

/// Returns a target, if its fields are valid.
pub(crate) fn target(id: &str, version: Option<&str>, name: Option<&str>) -> Result<Target, String> {
    let connector = Uuid::try_parse(id).ok().filter(|_| id.len() == 36);
    let connector = connector.ok_or_else(|| {
        format!("{id:?} is no connector ID, for example 497f6eca-6276-4993-bfeb-53cbbbba6f08")
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

/// Where the columns of CSV are.
struct Columns {
    connector: usize,
    version: Option<usize>,
    name: Option<usize>,
}

/// Returns the columns if the line is a header.
fn columns(line: &str, delimiter: u8) -> Option<Columns> {
    let cells = line.trim_start_matches('\u{feff}').split(char::from(delimiter));
    let header: Vec<String> =
        cells.map(|cell| cell.trim().trim_matches('"').to_lowercase().replace(['-', '_', ' '], "")).collect();
    let find = |names: &[&str]| header.iter().position(|cell| names.contains(&cell.as_str()));
    Some(Columns { connector: find(&CONNECTOR)?, version: find(&["version"]), name: find(&["name"]) })
}

impl Columns {
    fn target(&self, record: &StringRecord) -> Result<Target, String> {
        let cell = |at: Option<usize>| at.and_then(|at| record.get(at));
        target(cell(Some(self.connector)).unwrap_or_default(), cell(self.version), cell(self.name))
    }
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
        let comma = format!("\u{feff}Name,connector_ID,Version,owner\n\"Shop, EU\",{A},,x\n# no\n,{B},1\n");
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
        let csv = format!("id,version\n{A},01\nx,1\n");
        assert!(parse(&csv).unwrap_err().contains("line 2: the version"), "{:?}", parse(&csv));
    }
}
