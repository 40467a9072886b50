//! The restricted pickle machine: the operations that `torch.save` writes (pickle protocols 2 to 5), and no others.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use super::error::{Fault, cut_short, damaged, shown};
use super::global::Global;
use super::heap::{Heap, Id, Storage, Value, View};

/// The most bytes of one pickle. Each operation takes one at least, so that stack and memo are bounded too.
pub(super) const MOST_PICKLE: u64 = 4 << 20;

/// The most bytes of a line: a module's or a function's name.
const MOST_LINE: usize = 256;

/// Runs one pickle to its end, which `reader` then stands behind.
pub(super) fn run<R: Read>(reader: &mut R) -> Result<(Heap, Id), Fault> {
    let mut machine = Machine {
        code: reader.take(MOST_PICKLE),
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok((machine.heap, root))
}

struct Machine<'a, R> {
    code: io::Take<&'a mut R>,
    heap: Heap,
    stack: Vec<Id>,
    /// Where in the stack the marks lie.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<R: Read> Machine<'_, R> {
    /// One operation; false at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        let [operation] = self.bytes()?;
        match operation {
            b'.' => return Ok(false),
            0x80 => match self.bytes()? {
                [2..=5] => {}
                [other] => return Err(Fault::Unsupported(format!("a pickle of protocol {other}"))),
            },
            // FRAME tells how far a reader may read ahead; this one never does.
            0x95 => self.bytes::<8>().map(drop)?,
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let [value] = self.bytes()?;
                self.push(Value::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Int(value.into()))?;
            }
            0x8a => self.long()?,
            b'G' => {
                let value = f64::from_be_bytes(self.bytes()?);
                self.push(Value::Float(value))?;
            }
            // Texts, then Python 2's byte strings, which it uses for texts.
            0x8c | b'U' => {
                let [length] = self.bytes()?;
                self.text(length.into())?;
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.bytes()?);
                self.text(length)?;
            }
            // Bytes: no tensor and no name is made of those.
            b'C' => {
                let [length] = self.bytes()?;
                self.many(length.into())?;
                self.push(Value::Blank)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.bytes()?);
                self.many(length)?;
                self.push(Value::Blank)?;
            }
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b']' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(operation - 0x84);
                let Some(start) = self.stack.len().checked_sub(count) else { return damaged("the stack is empty") };
                self.guard(start)?;
                let items = self.stack.split_off(start);
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::find(&module, &name)?))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.heap.text(module), self.heap.text(name)) else {
                    return damaged("a name is no text");
                };
                let global = Global::find(module, name)?;
                self.push(Value::Global(global))?;
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let result = self.call(callee, arguments)?;
                self.stack.push(result);
            }
            b'b' => {
                let _attributes = self.pop()?;
                match self.heap.get(self.top()?) {
                    // An OrderedDict's attributes (PyTorch keeps the versions of modules there) are of no use here.
                    Value::Dict(_) | Value::Blank => {}
                    _ => return damaged("something other than an object is given attributes"),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let result = self.persistent(id)?;
                self.stack.push(result);
            }
            b'q' => {
                let [slot] = self.bytes()?;
                self.memorize(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.bytes()?);
                self.memorize(slot)?;
            }
            0x94 => match u32::try_from(self.memo.len()) {
                Ok(slot) => self.memorize(slot)?,
                Err(_) => return damaged("the memo is full"),
            },
            b'h' => {
                let [slot] = self.bytes()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.bytes()?);
                self.recall(slot)?;
            }
            other => return damaged(format!("the pickle has operation {other:#04x}, which torch.save does not write")),
        }
        Ok(true)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        match self.code.read_exact(&mut bytes) {
            Err(_) if self.code.limit() < N as u64 => Err(too_long()),
            result => result.map(|()| bytes).map_err(cut_short),
        }
    }

    /// Grows with what is there, not with what is promised.
    fn many(&mut self, length: u32) -> Result<Vec<u8>, Fault> {
        if u64::from(length) > self.code.limit() {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        self.code.by_ref().take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() < length as usize { damaged("it ends too soon") } else { Ok(bytes) }
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        loop {
            match self.bytes()? {
                [b'\n'] => return String::from_utf8(line).or_else(|_| damaged("a name is no UTF-8")),
                [byte] if line.len() < MOST_LINE => line.push(byte),
                _ => return damaged("a name is too long"),
            }
        }
    }

    fn text(&mut self, length: u32) -> Result<(), Fault> {
        match String::from_utf8(self.many(length)?) {
            Ok(text) => self.push(Value::Text(text)),
            Err(_) => damaged("a text is no UTF-8"),
        }
    }

    fn long(&mut self) -> Result<(), Fault> {
        let [length] = self.bytes()?;
        let bytes = self.many(length.into())?;
        if bytes.len() > 16 {
            return damaged(format!("an integer has {} bytes", bytes.len()));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(&bytes);
        self.push(Value::Int(i128::from_le_bytes(wide)))
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.stack.push(self.heap.add(value)?);
        Ok(())
    }

    /// What lies below a mark belongs to something unfinished: nobody may take it.
    fn guard(&self, start: usize) -> Result<(), Fault> {
        if self.marks.last().is_some_and(|&mark| start < mark) { damaged("a mark is passed over") } else { Ok(()) }
    }

    fn top(&self) -> Result<Id, Fault> {
        let Some(&id) = self.stack.last() else { return damaged("the stack is empty") };
        self.guard(self.stack.len() - 1)?;
        Ok(id)
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let Some(mark) = self.marks.pop() else { return damaged("a mark is missing") };
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, mut items: Vec<Id>) -> Result<(), Fault> {
        let list = self.top()?;
        match self.heap.get_mut(list) {
            Value::List(list) => list.append(&mut items),
            _ => return damaged("something is appended to what is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), Fault> {
        let (pairs, rest) = items.as_chunks::<2>();
        let dict = self.top()?;
        match self.heap.get_mut(dict) {
            Value::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return damaged("something is set in what is no dict"),
        }
        Ok(())
    }

    fn memorize(&mut self, slot: u32) -> Result<(), Fault> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), Fault> {
        match self.memo.get(&slot) {
            Some(&id) => self.stack.push(id),
            None => return damaged(format!("memo {slot} is empty")),
        }
        Ok(())
    }

    /// What Python would get by a call, of those that are known.
    fn call(&mut self, callee: Id, arguments: Id) -> Result<Id, Fault> {
        let &Value::Global(global) = self.heap.get(callee) else { return damaged("what is called has no name") };
        let Value::Tuple(given) = self.heap.get(arguments) else { return damaged("arguments are no tuple") };
        match (global, given.as_slice()) {
            (Global::OrderedDict, []) => self.heap.add(Value::Dict(Vec::new())),
            // A gradient's need, hooks and metadata may follow.
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let view = View {
                    storage,
                    offset: self.heap.size(offset)?,
                    shape: self.heap.sizes(shape)?,
                    strides: self.heap.sizes(strides)?,
                };
                view.check(self.heap.storage(storage)?)?;
                self.heap.add(Value::Tensor(view))
            }
            (Global::RebuildParameter, &[tensor, ..]) if matches!(self.heap.get(tensor), Value::Tensor(_)) => {
                Ok(tensor)
            }
            (Global::Size, &[sizes]) if matches!(self.heap.get(sizes), Value::Tuple(_)) => Ok(sizes),
            (Global::Inert, _) => self.heap.add(Value::Blank),
            _ => damaged(format!("{global:?} is called with other arguments than torch.save gives")),
        }
    }

    /// What a persistent id names: a storage as `('storage', type, key, device, count)`, in the old format with the
    /// part of it that is meant, which is always all; there also a module's class with its source.
    fn persistent(&mut self, id: Id) -> Result<Id, Fault> {
        let Value::Tuple(parts) = self.heap.get(id) else { return damaged("a persistent id is no tuple") };
        let (tag, rest) = match parts.as_slice() {
            [tag, rest @ ..] => (self.heap.text(*tag), rest),
            [] => return damaged("a persistent id is empty"),
        };
        match (tag, rest) {
            (Some("storage"), &[kind, key, _device, count, ref part @ ..]) => {
                let (&Value::Global(Global::Storage(kind)), Some(key)) = (self.heap.get(kind), self.heap.text(key))
                else {
                    return damaged("a storage has no type or no name");
                };
                let is_all = part.iter().all(|&part| matches!(self.heap.get(part), Value::None));
                if !is_all {
                    return Err(Fault::Unsupported(
                        "a storage that is part of another (from before PyTorch 0.4)".into(),
                    ));
                }
                let storage = Storage { key: key.to_owned(), kind, count: self.heap.size(count)? as u64 };
                if storage.count.checked_mul(kind.size()).is_none() {
                    return damaged(format!("storage {} has {} numbers", shown(key), storage.count));
                }
                self.heap.add(Value::Storage(storage))
            }
            (Some("module"), &[class, ..]) if matches!(self.heap.get(class), Value::Global(Global::Inert)) => Ok(class),
            _ => damaged("a persistent id is of an unknown kind"),
        }
    }
}

fn too_long() -> Fault {
    Fault::Unsupported(format!("a pickle of more than {MOST_PICKLE} bytes"))
}
