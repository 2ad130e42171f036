// Package journal makes many small objects of an artifact store durable together, in one write, and moves them to their own keys later.
//
// # Writing
//
// What is appended while a write is under way goes into the next one, so that the store is asked as often as it can answer, not as
// often as somebody asks. A tenant has at most one write under way, and the next begins when it has succeeded: a tenant's entries
// become durable in the order in which they were appended, and its objects appear in the order of their numbers. A failed write is repeated
// with the same bytes at the same key, which does no harm where it had reached the store. An object is
//
//	tenants/<tenant>/journal/<instance>/<number, 18 digits>/<its last two digits>
//
// in folders of a hundred, because a store that keeps files reads the whole folder to list a few of its objects.
//
// # Settling
//
// An entry that is kept is copied to its own key in the background; one that is not is only needed until its run has ended, or for a
// day. An object is deleted once no entry in it is needed. Entries of one key are let go together, when the newest is: as long as an
// entry waits in a journal, so does every version of it that may have reached the key after it was written. And an object stays as long
// as an earlier one with a version of one of its keys: an old version is never found in a journal without the later one.
//
// # Adopting
//
// Every instance looks for journals of instances that have given no sign of life for two minutes. A sign of life is a new object, or
// where none is written a small object named alive, renewed every half minute while objects are left. What it finds it appends to its own
// journal, with the time of the old object; half a minute after that is durable, the old objects are deleted.
//
// Why this is safe, whoever is alive and however wrong the clocks are:
//
//   - Nothing is deleted before its copy is durable, and a search that began before the copy was there is over before the original is gone:
//     it may take [searchLimit], less than the half minute. An adopter that dies in between leaves both; somebody adopts again.
//   - An instance that was alive after all (suspended, or out of reach) loses nothing: what it has in memory it settles as before; what it finds
//     gone from its journal it finds in the adopter's; its next objects have new numbers. Nobody writes into another's folder.
//   - Two adopters at once make two copies of the same entries with the same times; the second to settle finds the content there.
//   - An adopted entry never replaces something newer at its key: it is written if nothing is there, or if what is there is not younger by the
//     store's clock, or is an older version of the same key from the same journal (which a dying instance may have settled late).
//
// # Reading
//
// A key is looked for in memory, then in the other journals, then at the key itself. In this order nothing is missed: an entry
// leaves a journal only when it is at its key or in another journal. What is found in another journal gives way to what is at the key by
// the rule for adopted entries. That rule compares times of the store, which some stores round to seconds: of two instances that
// write the same key within a second, either may win.
package journal
