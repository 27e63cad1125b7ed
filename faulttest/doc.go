// Package faulttest knows what must be true after whatever was done to the machines, and does not ask the code under test.
//
//	Load      posts leads as impatient clients do, and remembers outside of the database what was acknowledged
//	Receiver  is called with deliveries, and remembers every call
//	Reckon    compares both with the tables, through SQL of its own
//
// Only tests use it.
package faulttest
