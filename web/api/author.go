package api

import (
	"cmp"

	"detectd/store"
)

// Signed is a request whose author goes into a history.
type Signed struct {
	Author string `header:"Detectd-Author" maxLength:"100" example:"ann" doc:"Who makes the change, for the history; api when absent."`
}

// SignedWhy is Signed for requests without a body, which say why in the query.
type SignedWhy struct {
	Signed
	Reason string `query:"reason" maxLength:"500" example:"no longer needed" doc:"Why, for the history."`
}

func (s Signed) by(why string) store.Author {
	return store.Author{By: cmp.Or(s.Author, "api"), Why: why}
}
func (s SignedWhy) author() store.Author { return s.by(s.Reason) }
