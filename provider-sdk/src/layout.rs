//! What differs between the records of a module and those of its contract, in one line. abi_stable decides whether
//! a module is refused; this file only says which record and which field it was, so nothing here may accept one.

use cashier_provider_abi::abi_stable::type_layout::{TLField, TLFunction, TypeLayout};

/// Names come from the module; a longer one is cut, so that the reason stays a line.
const NAME_CHARS_MAX: usize = 64;

/// Records inside records of contract 1 are nested a dozen deep; a module may state any depth.
const DEPTH_MAX: usize = 64;

/// The first difference between the layout `expected` and the one a module states.
pub(crate) fn difference(expected: &'static TypeLayout, found: &'static TypeLayout) -> String {
    LayoutComparison::default()
        .records(expected, found)
        .unwrap_or_else(|| format!("its record {} is laid out differently", name(expected.name())))
}

/// Pairs of records that are being compared or were found equal: records refer to themselves.
#[derive(Default)]
struct LayoutComparison {
    seen: Vec<(*const TypeLayout, *const TypeLayout)>,
    depth: usize,
}

impl LayoutComparison {
    /// The innermost difference: a record that holds a changed record differs only because of it.
    fn records(&mut self, expected: &'static TypeLayout, found: &'static TypeLayout) -> Option<String> {
        let pair = (std::ptr::from_ref(expected), std::ptr::from_ref(found));
        if self.depth == DEPTH_MAX || self.seen.contains(&pair) {
            return None;
        }
        self.seen.push(pair);
        self.depth = self.depth.saturating_add(1);
        let found = self.inside(expected, found).or_else(|| own(expected, found));
        self.depth = self.depth.saturating_sub(1);
        found
    }

    fn inside(&mut self, expected: &'static TypeLayout, found: &'static TypeLayout) -> Option<String> {
        for (expected, found) in expected.generics().type_params().iter().zip(found.generics().type_params()) {
            let (expected, found) = (expected(), found());
            if expected.name() == found.name()
                && let Some(difference) = self.records(expected, found)
            {
                return Some(difference);
            }
        }
        let (theirs, phantoms) = (fields(found), found.phantom_fields());
        let same_name =
            |field: &TLField| theirs.iter().copied().chain(phantoms.iter()).find(|their| their.name() == field.name());
        fields(expected)
            .into_iter()
            .chain(expected.phantom_fields().iter())
            .filter_map(|field| Some((field, same_name(&field)?)))
            .find_map(|(expected, found)| self.field(&expected, &found))
    }

    fn field(&mut self, expected: &TLField, found: &TLField) -> Option<String> {
        let functions = expected.function_range().iter().zip(found.function_range().iter());
        for (expected, found) in functions {
            if let Some(difference) = self.function(&expected, &found) {
                return Some(difference);
            }
        }
        let same_type = expected.layout().name() == found.layout().name();
        if same_type { self.records(expected.layout(), found.layout()) } else { None }
    }

    fn function(&mut self, expected: &TLFunction, found: &TLFunction) -> Option<String> {
        let parameters = expected.param_type_layouts.iter().zip(found.param_type_layouts.iter());
        let returned = expected.return_type_layout().zip(found.return_type_layout());
        parameters.chain(returned).map(|(expected, found)| (expected(), found())).find_map(|(ours, theirs)| {
            if ours.name() == theirs.name() {
                return self.records(ours, theirs);
            }
            let (function, theirs, ours) = (name(&expected.name), name(theirs.name()), name(ours.name()));
            Some(format!("its function {function} has {theirs} where contract 1 has {ours}"))
        })
    }
}

/// A difference of the record itself, its fields taken as they are named and typed.
fn own(expected: &'static TypeLayout, found: &'static TypeLayout) -> Option<String> {
    let record = name(expected.name());
    let (ours, theirs) = (fields(expected), fields(found));
    for (at, field) in ours.iter().enumerate() {
        let quoted = name(field.name());
        // Variants of an enum name their fields alike, so the same place comes first.
        let here = theirs.get(at).is_some_and(|their| their.name() == field.name());
        let there = if here { Some(at) } else { theirs.iter().position(|their| their.name() == field.name()) };
        match there {
            None => return Some(format!("its record {record} lacks the field {quoted}")),
            Some(there) if there < at => return Some(moved(&record, &quoted)),
            Some(there) if there > at && ours.len() == theirs.len() => return Some(moved(&record, &quoted)),
            Some(there) => {
                let (ours, theirs) = (field.full_type().to_string(), theirs.get(there)?.full_type().to_string());
                if ours != theirs && !field.is_function() {
                    let (ours, theirs) = (name(&ours), name(&theirs));
                    return Some(format!("the field {quoted} of its record {record} is {theirs}, not {ours}"));
                }
            }
        }
    }
    if let Some(more) = theirs.iter().find(|their| ours.iter().all(|field| field.name() != their.name())) {
        return Some(format!("its record {record} has the field {} more", name(more.name())));
    }
    let (size, align) = ((expected.size(), found.size()), (expected.alignment(), found.alignment()));
    (size.0 != size.1 || align.0 != align.1).then(|| {
        let (expected, found) = ((size.0, align.0), (size.1, align.1));
        let (bytes, aligned) = found;
        format!("its record {record} has {bytes} bytes aligned to {aligned}, not {} to {}", expected.0, expected.1)
    })
}

fn moved(record: &str, field: &str) -> String {
    format!("its record {record} has the field {field} at another place")
}

fn fields(layout: &'static TypeLayout) -> Vec<TLField> {
    layout.get_fields().map(|fields| fields.iter().collect()).unwrap_or_default()
}

/// A name as it may be shown: printable, and cut.
fn name(text: &str) -> String {
    text.escape_debug().take(NAME_CHARS_MAX).collect()
}
