//! Which key of a configuration an error is about.

use super::config_file::explain;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Where the key is of which `said` complains. What is read from a table of its own, as fields are, has lost its place, and the error has
/// that of the first `[[table]]`. So the key is the one without which it is not said.
pub(super) fn culprit<T: DeserializeOwned>(text: &str, said: &str) -> Option<usize> {
    let spans = DeTable::parse(text).ok()?.into_inner();
    // A key that is missing is found nowhere; what is around it may be.
    let missing = said.contains("missing field");
    // Sentences begin with the names of tables, which may go with a key.
    let end = |said: &str| said.rsplit(": ").next().map(str::to_owned);
    let wanted = end(said);
    let mut at = None;
    let same = |table: Table| table.try_into::<T>().err().and_then(|error| end(&explain(&error))) == wanted;
    narrow_table(&toml::from_str(text).ok()?, &spans, missing, &mut at, &same);
    at
}

/// Whether the mistake is still there with another value in the place of one.
type Same<'a, V> = &'a dyn Fn(V) -> bool;

fn narrow_table(table: &Table, spans: &DeTable<'_>, missing: bool, at: &mut Option<usize>, same: Same<'_, Table>) {
    for (key, value) in table {
        let Some((key_span, span)) = spans.iter().find(|(name, _)| name.get_ref() == key) else { return };
        let nested = matches!(value, Value::Table(_) | Value::Array(_));
        let mut without = table.clone();
        without.remove(key);
        if missing && !nested || same(without) {
            continue;
        }
        *at = Some(key_span.span().start);
        let with = |value| {
            let mut table = table.clone();
            table.insert(key.clone(), value);
            same(table)
        };
        return narrow(value, span.get_ref(), missing, at, &with);
    }
}

fn narrow(value: &Value, spans: &DeValue<'_>, missing: bool, at: &mut Option<usize>, same: Same<'_, Value>) {
    match (value, spans) {
        (Value::Table(table), DeValue::Table(spans)) => {
            narrow_table(table, spans, missing, at, &|table| same(Value::Table(table)));
        }
        (Value::Array(items), DeValue::Array(spans)) => {
            let alone = |item: &Value| same(Value::Array(vec![item.clone()]));
            let Some((item, span)) = items.iter().zip(spans.iter()).find(|(item, _)| alone(item)) else { return };
            *at = Some(span.span().start);
            narrow(item, span.get_ref(), missing, at, &|item| same(Value::Array(vec![item])));
        }
        _ => {}
    }
}
