"""First and last names for artists who do not exist."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words("""
Ada Alba Amara Anselm Aurel Bela Bruna Calla Casimir Clea Dario Delia Edda Elio Emeka Enzo Fadila Fenna
Gaspar Greta Hana Hedda Idris Ilse Imre Ines Ivo Jarek Jola Jun Kaia Kenji Lale Leda Linus Livia Lucan
Maite Malik Marta Mirek Nadia Nils Noor Oda Odile Orso Oskar Paloma Pell Petra Quirin Rafa Renske Rosa
Ruben Saskia Selma Sefa Tadeo Tamsin Thea Tilda Ugo Ulla Vesna Viggo Wanda Wren Xenia Yael Yusuf Zora
""")

LAST = _words("""
Abendroth Achterberg Albarran Almasy Ashgrove Balestra Bellweather Bergstrand Bielak Brandauer Calloway
Castellane Corvino Dahlgren Delacourt Drayton Eisner Ekwueme Esterhaze Fairwind Falkenrath Fontanel
Galloway Garavelli Grunewald Halloran Hartwin Hoshizaki Iversholt Jankovar Kestrel Kirchwald Kurosaki
Lachenal Lindqvarn Lorimer Macalister Marchetto Marrowby Mondriel Nakadai Nordhaven Oduyale Okonjo
Ostrander Palmgren Pellerin Quillfeather Ravensworth Rosenquill Sandoval Sarkany Sayegh Silvestrin
Solberg Szalai Tamburlaine Thornquist Tolvanen Ullring Valcourt Vantongel Varga Verhaelen Vogelsang
Wexholm Windermere Yamashiro Zabriskie Zielony
""")
