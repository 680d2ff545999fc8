/** Something that holds what is to be delivered. */
interface Holder {
  deliver(): void;
}

/** Streams that deliver once whoever has made them do so has returned, and before the next event. */
let holders: Holder[] = [];

/** Calls `deliver`, which must not throw, when what is running now has returned. */
export function deliverLater(holder: Holder): void {
  if (holders.push(holder) === 1) process.nextTick(deliverAll);
}

function deliverAll(): void {
  const now = holders;
  holders = [];
  for (const holder of now) holder.deliver();
}
