//! What the kernel uses at a raised level, inside a value in paged pool: a list with
//! its lock, and a rundown that is waited for.

use wdm::{
    Result,
    debug::Level,
    irql::Passive,
    list::{DoubleLinks, InterlockedList},
    pool::{PagedBox, PoolBox},
    rundown::Rundown,
};

use crate::TAG;

struct Entry {
    number: u32,
    links: DoubleLinks,
}

wdm::linked!(Entry, links: DoubleLinks);

pub fn run(passive: &Passive) -> Result<()> {
    let list = InterlockedList::<Entry>::new(TAG)?;
    let list = PagedBox::new(list, TAG, passive).map_err(|rejected| rejected.error)?;
    let entry = Entry {
        number: 7,
        links: DoubleLinks::new(),
    };
    let entry = PoolBox::new(entry, TAG).map_err(|rejected| rejected.error)?;
    list.get(passive).push_back(entry);
    let number = list.get(passive).pop_front().map(|entry| entry.number);
    wdm::log!(Level::Error, "from the list: {}", number.unwrap_or(0));
    let rundown = PagedBox::new(Rundown::new(), TAG, passive);
    let rundown = rundown.map_err(|rejected| rejected.error)?;
    let held = rundown.get(passive).acquire();
    wdm::log!(Level::Error, "acquired: {}", held.is_some());
    drop(held);
    rundown.get(passive).wait(passive);
    let held = rundown.get(passive).acquire();
    wdm::log!(Level::Error, "acquired after the end: {}", held.is_some());
    Ok(())
}
