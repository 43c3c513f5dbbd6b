//! JSON, and what its keys make of it: the index of a sharded model, of a diffusers pipeline, a manifest of Ollama.
//!
//! The first part of the text is parsed to a small depth, nothing is kept but what tells a kind.  Sources: the index files of
//! `transformers` and `diffusers`; <https://github.com/ollama/ollama/blob/main/manifest/manifest.go>.

use super::probe::Probe;
use super::text::utf8_of;
use super::{Answer, Detection, FileFormat, TRUNCATED, confidence};
use crate::fault::Quoted;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Bytes that are parsed; a longer text is judged by these.
const PARSED_BYTES: usize = 1 << 20;

/// Objects and arrays within each other that are looked into.
const DEPTH_SEEN: usize = 3;

/// Characters of a class that becomes a variant.
const CLASS_CHARS_MAX: usize = 64;

/// Answers on an object or array, and on several of them after each other.
pub(super) fn json(probe: &Probe) -> Answer {
    if !matches!(without_mark(probe.head()).first(), Some(b'{' | b'[')) {
        return Ok(None);
    }
    let bytes = probe.bytes(0, PARSED_BYTES)?;
    let all = bytes.len() as u64 == probe.size();
    let Some(text) = utf8_of(&bytes, all) else { return Ok(None) };
    let mut facts = Facts::default();
    Ok(parse(without_mark(text.as_bytes()), &mut facts).map(|end| facts.detection(end, all)))
}

/// Returns what follows a byte order mark and white space.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start()
}

/// How parsing ended.
enum End {
    Whole,
    /// The text ends within the value.
    Cut,
    /// Another object or array follows.
    Lines,
}

/// Parses a value, None when the text is no JSON.
fn parse(text: &[u8], facts: &mut Facts) -> Option<End> {
    let mut parser = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let mut seen = serde_json::Deserializer::from_slice(text);
    // Facts that were noted before an error stay.
    let _ = Look { facts, path: &mut Vec::new() }.deserialize(&mut seen);
    match parser.next()? {
        Ok(_) => match text.get(parser.byte_offset()..)?.trim_ascii_start().first() {
            None => Some(End::Whole),
            Some(b'{' | b'[') => Some(End::Lines),
            Some(_) => None,
        },
        Err(error) => error.is_eof().then_some(End::Cut),
    }
}

/// What the keys tell.
#[derive(Default)]
struct Facts {
    /// Files that tensors are mapped to, and the last one.
    shards: u64,
    shard: String,
    weight_map: bool,
    class: Option<String>,
    /// The array of a module's name that is being looked at.
    module_at: Option<String>,
    components: u64,
    layers: u64,
    error: Option<String>,
}

/// One step from the outermost value inwards.
enum Step {
    Key(String),
    Index(u64),
}

impl Facts {
    fn see_object(&mut self, path: &[Step]) {
        if let [Step::Key(key)] = path {
            self.weight_map |= key == "weight_map";
        }
    }

    fn see_text(&mut self, path: &[Step], text: &str) {
        match path {
            [Step::Key(key)] if key == "_class_name" => self.class = Some(text.to_owned()),
            [Step::Key(key)] if key == "error" => self.error = Some(text.to_owned()),
            [Step::Key(key), Step::Key(_)] if key == "weight_map" => self.see_shard(text),
            [Step::Key(key), Step::Index(_), Step::Key(inner)] if key == "layers" && inner == "mediaType" => {
                self.layers = self.layers.saturating_add(u64::from(text.starts_with("application/vnd.ollama.image.")));
            }
            [Step::Key(key), Step::Index(0)] => self.module_at = is_module(text).then(|| key.clone()),
            [Step::Key(key), Step::Index(1)] => {
                let component = self.module_at.as_ref() == Some(key) && is_class(text);
                self.components = self.components.saturating_add(u64::from(component));
            }
            _ => {}
        }
    }

    fn see_shard(&mut self, file: &str) {
        self.shards = self.shards.saturating_add(1);
        file.clone_into(&mut self.shard);
    }

    fn detection(&self, end: End, all: bool) -> Detection {
        let detection = self.kind();
        match (end, all) {
            (End::Whole, true) => detection,
            (End::Whole | End::Cut, false) => Detection { confidence: confidence::HEADER, ..detection },
            (End::Cut, true) => {
                let reason = format!("truncated: {}, but its end is missing", detection.reason);
                Detection::new(detection.format, confidence::EVIDENCE, reason).variant(TRUNCATED)
            }
            (End::Lines, _) => {
                Detection::new(FileFormat::Json, confidence::HEADER, "JSON values after each other").variant("lines")
            }
        }
    }

    fn kind(&self) -> Detection {
        let sure = confidence::WALKED;
        match (&self.class, &self.error) {
            _ if self.weight_map => self.index(),
            (Some(class), _) if self.components > 0 => {
                let reason = format!("the index of a diffusers pipeline of class {}", Quoted(class));
                let detection = Detection::new(FileFormat::DiffusersIndex, sure, reason);
                if is_class(class) { detection.variant(class.clone()) } else { detection }
            }
            _ if self.layers > 0 => Detection::new(
                FileFormat::OllamaManifest,
                sure,
                format!("a manifest of {} layers of Ollama", self.layers),
            ),
            (_, Some(error)) => {
                let reason = format!("JSON that reports an error: {}", Quoted(error));
                Detection::new(FileFormat::Json, sure, reason)
            }
            _ => Detection::new(FileFormat::Json, sure, "JSON"),
        }
    }

    fn index(&self) -> Detection {
        let reason = format!("an index that maps {} tensors to files", self.shards);
        let detection = Detection::new(FileFormat::ShardedIndex, confidence::WALKED, reason);
        match self.shard.rsplit_once('.') {
            Some((_, "safetensors")) => detection.variant("safetensors"),
            Some((_, "bin" | "pt" | "pth")) => detection.variant("pytorch"),
            _ => detection,
        }
    }
}

/// Tells whether text is the name of a Python module, such as `diffusers`.
fn is_module(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(lower)
}

/// Tells whether text is the name of a Python class of moderate length.
fn is_class(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.len() <= CLASS_CHARS_MAX && text.chars().all(word)
}

/// Shows every text and object down to [`DEPTH_SEEN`] to the facts, and keeps nothing.
struct Look<'a> {
    facts: &'a mut Facts,
    path: &'a mut Vec<Step>,
}

impl Look<'_> {
    fn inside(&mut self, step: Step) -> Look<'_> {
        self.path.push(step);
        Look { facts: self.facts, path: self.path }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.path.len() > DEPTH_SEEN {
            true => value.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            false => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.facts.see_text(self.path, text);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.facts.see_object(self.path);
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(self.inside(Step::Key(key)))?;
            self.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            let more = seq.next_element_seed(self.inside(Step::Index(index)))?.is_some();
            self.path.pop();
            if !more {
                break;
            }
        }
        Ok(())
    }
}
