package intake

// Because is the column that we add to rejected rows when we give them back. Where it comes back with the mended rows it
// means nothing, and is left out.
const Because = "rejected_because"
