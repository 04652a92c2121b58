//! Environment variables in strings: `%NAME%` becomes the variable's value, and
//! stays as it is where there is no such variable.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

use crate::base::utf16::fold;

/// Most variables of an environment, and most units of one.
const LIMIT: usize = 0x7fff;
const PERCENT: u16 = b'%' as u16;
const EQUALS: u16 = b'=' as u16;

/// Expands the variables in a text with the environment block at `environment`,
/// strings `NAME=value` up to an empty one; 0 for no variables.
pub fn expand(environment: u64, text: &[u16]) -> Result<Vec<u16>, Fault> {
    let variables = read(environment)?;
    let mut expanded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.iter().position(|unit| *unit == PERCENT) {
        expanded.extend(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest
            .iter()
            .skip(1)
            .position(|unit| *unit == PERCENT)
            .map(|end| end + 1);
        let value = end.and_then(|end| {
            let name = fold(&rest[1..end]);
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (end, value))
        });
        if let Some((end, value)) = value {
            expanded.extend(value);
            rest = &rest[end + 1..];
        } else {
            expanded.push(PERCENT);
            rest = &rest[1..];
        }
    }
    expanded.extend(rest);
    Ok(expanded)
}

/// A variable: its name, folded, and its value.
type Variable = (Vec<u16>, Vec<u16>);

/// All variables of an environment.
fn read(environment: u64) -> Result<Vec<Variable>, Fault> {
    let mut variables = Vec::new();
    if environment == 0 {
        return Ok(variables);
    }
    let mut at = environment;
    while variables.len() < LIMIT {
        let line = driver_mem::read_wide_string(at, LIMIT)?;
        if line.is_empty() {
            break;
        }
        at = at.wrapping_add(2 * (line.len() as u64 + 1));
        // A name may begin with an equals sign.
        if let Some(equals) = line.iter().skip(1).position(|unit| *unit == EQUALS) {
            variables.push((fold(&line[..=equals]), line[equals + 2..].to_vec()));
        }
    }
    Ok(variables)
}
