"""What German-speaking customers of an outdoor shop and users of its software write, in parts to be put together."""

WORDS = {
    "brand": """Falkenrad|Nordweg|Tarnum|Velora|Querfeld|Osmer|Brisk & Söhne|Lindqvist|Mirador|Turmfalke|Härtel|
Pöschl|Ostrau|Güldenhaus|Tiefenbrunn|Erlmoor|Rossano|Zephyr|Dovrefjell|Märgel|Sennhütte|Hochland|Weißdorn|Schafgarbe""",
    "model": """Grat|Alto|Vento|Lumen|Schotter|Bergsee|Fjord|Pilot|Nomade|Leuchte|Steinmann|Drift|Glut|Feuerstein|
Böe|Reiher|Steinbock|Wacholder|Drachen|Lärche|Moräne|Nimbus|Otter|Regenpfeifer|Steinbruch|Eberesche|Zobel|Distel|
Umbra|Abendstern""",
    "item": """Gravelbike|Trekkingrad|Faltrad|Lastenrad|Laufrad|Kinderanhänger|Zweipersonenzelt|Tunnelzelt|
Biwaksack|Daunenschlafsack|Isomatte|Gaskocher|Stirnlampe|Trinkrucksack|Tourenrucksack|Gepäcktaschenpaar|Standpumpe|
Dynamolicht|Fahrradhelm|Regenponcho|Softshelljacke|Zustiegsschuhe|Eispickel|Klettergurt|Wasserfilter|Notfallsender|
Fahrradcomputer|Rahmentasche|Ledersattel|Faltschloss|Dachträger|Stechpaddel|Lawinenschaufel|Wildkamera""",
    "part": """Schaltwerk|Tretlager|Bremshebel|Reißverschluss|Schultergurt|Ladeanschluss|Schlauch|Ventil|
Sattelstütze|Steckschnalle|Freilauf|Steuersatz|Außenhülle|Brenner|Gasschlauch|Brustgurt|Batteriedeckel|
Speichenschutz|Seitenständer|Schutzblechstrebe|Hüftgurt|Abspannleine|Gestängekanal|Kurbelarm|Zughülle|Halterung|
Gummidichtung|Rücklicht""",
    "place": """den Gardasee|die Eifel|Rügen|den Schwarzwald|Füssen|den Jakobsweg|Tromsø|die Lofoten|Münster|
den Spreewald|Görlitz|den Jura|Bornholm|Osnabrück|die Rhön|Mallorca|Krakau|die Dolomiten|Antwerpen|die Hohe Tatra|
Würzburg|die Vogesen|das Allgäu|Lübeck|den Harz|die Müritz|Zürich|das Ötztal|Thüringen|das Weserbergland""",
    "month": "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember",
    "noise": "mahlendes|klickendes|quietschendes|klapperndes|brummendes|knarzendes|schleifendes|schnalzendes",
    "action": """im Sitzen bergauf fahre|stark bremse|unter Last schalte|nach links lenke|den Lenker anhebe|
alles zusammenpacke|über Kopfsteinpflaster rolle|den Gurt straff ziehe|im Stehen antrete|
mehr als das Essen für einen Tag trage""",
    "person": """meine Tochter|mein Nachbar|eine Kollegin|mein Schwager|unser Kassenwart|ein Freund aus dem Büro|
mein Vater|unsere Bergführerin""",
    "colour": "Tannengrün|Schieferblau|Rostrot|Sandbeige|Anthrazit|Senfgelb|Hellgrau|Weinrot|Cremeweiß|Petrol",
    "use": """das Pendeln im Regen|eine Woche auf Tour|Wochenenden mit den Kindern|lange Brevets|
das Zelten im Winter|Touren von Hütte zu Hütte|den Schulweg|Kurse für Anfänger|Forstwege mit Gepäck|
eine Spendenfahrt""",
    "app": """TrailDesk|RouteBook|Kassenbuch|Schichtplan|Packliste Pro|Lagerblick|TicketFuchs|Kartenkeller|
CrewBoard|Formular24|Rechnix|SyncVogel""",
    "menu": """Einstellungen|Konten|Verknüpfungen|Berichte|Mitglieder|Ausgabe|Mitteilungen|Vorlagen|Sicherungen|
Abrechnung|Zugriffsrechte|Geräte""",
    "system": """Windows 11|Windows 10|macOS Sonoma|macOS Catalina|Ubuntu 22|Fedora 39|Debian 12|iPadOS 17|
Android 14|ChromeOS Flex|openSUSE Leap|Linux Mint""",
    "file": """Tabelle|Streckendatei|Fotosammlung|Preisliste|Personalliste|Sammelrechnung|Mitgliederliste|Inventur|
Sicherung|Kalenderdatei|Kartenebene|Stundenübersicht""",
    "fault": """bleibt beim Fortschrittsbalken stehen|zeigt nur eine leere Seite|verlangt eine neue Anmeldung|
meldet einen vollen Datenträger|verliert die letzte Spalte|vertauscht die Zeitzonen|druckt jede Seite doppelt|
übergeht den Filter|schließt sich wortlos|macht aus Umlauten Fragezeichen|dreht sich endlos|
behauptet, die Lizenz sei abgelaufen""",
    "role": """Buchhalterin|Aushilfe|Schichtleiterin|Lageristin|Auszubildende|Filialleiterin|Tourenplanerin|
Prüferin|Fahrerin|Kursleiterin""",
}

OPENINGS = {
    "shop": """Im {month} habe ich bei Ihnen das Modell „{brand} {model} {few}“ ({item}, {colour}) bestellt, gedacht für {use}.
Zum Geburtstag bekam ich „{brand} {model} {teens}“ geschenkt, laut Beleg ein Artikel der Gruppe {item} aus dem {month}.
Für eine Reise durch {place} überlege ich, „{brand} {model} {few}“ zu kaufen, also die Ausführung {item} in {colour}.
Wir betreiben einen Verleih und besitzen {teens} Stück von „{brand} {model}“, Warengruppe {item}, seit {month}.
Mein {brand} {model} {hundreds} (Warengruppe {item}) ist etwa {few} Jahre alt und war schon zweimal über {place} unterwegs.
Für {use} habe ich „{brand} {model} {few}“ gebraucht erstanden, es handelt sich um {item} in {colour}.
In Ihrem Katalog vom {month} steht „{brand} {model} {hundreds}“ unter {item}, lieferbar in {colour}.
Auf dem Weg über {place} hatte ich „{brand} {model} {few}“ zum ersten Mal dabei, meine neue Anschaffung ({item}).
Das Paket mit „{brand} {model} {teens}“ ({item}, {colour}) kam im {month} nach {teens} Tagen bei mir an.
Vor unserer Tour durch {place} ließ ich „{brand} {model}“ ({item}) in Ihrer Werkstatt warten.""",
    "desk": """Im {month} haben wir {teens} Leute auf {app} umgestellt, sie arbeiten alle auf {system}.
Als {role} nutze ich {app} in der Version {few}.{teens} fast jeden Tag, und zwar auf {system}.
Seit dem Update von {app} im {month} teilen wir uns ein gemeinsames Konto für {place}.
Unsere {role} öffnet die {file} in {app} von unterwegs über eine langsame Leitung, meist im {month}.
Ich betreue {app} für die {hundreds} Mitglieder eines Wandervereins, der vor allem {place} besucht.
Auf {system} habe ich {app} in {few} Fenstern offen, jeweils mit einer anderen {file}.
Wir haben im {month} {teens} Plätze für {app} gekauft, und zwar für die Gruppe, die {use} plant.
Eingerichtet hat {app} bei uns {person}, im {month} folgte dann der Wechsel in eine andere Firma.
Ab {month} fängt bei uns eine neue {role} an, die {app} auf {system} benutzen soll.
Für die Saison halte ich die {file} und den Kalender von {app} nebeneinander offen, meist auf {system}.""",
}

PROBLEMS = {
    "shop": """Das Bauteil {part} macht ein {noise} Geräusch, sobald ich {action}, und nach {few} Kilometern wird es schlimmer.
Nun ist am Bauteil {part} ein Riss von etwa {few} Millimetern zu sehen, obwohl es nie heruntergefallen ist.
Leider hat sich das Teil {part} am {few}. Tag gelöst, und die Schraube, die es hielt, fehlt seither.
Das Teil {part} sitzt so schlecht, dass {person} sich daran fast die Hand verletzt hätte.
Beim ersten Regen lief hinter dem Teil {part} Wasser hinein, und das Trocknen dauerte {few} Tage.
Wenn ich {action}, rutscht das Teil {part} um {few} Millimeter zurück, ganz gleich, wie fest ich es anziehe.
Die Beschichtung in {colour} blättert rund um {part} schon nach {few} Monaten ab, gekauft war es für {use}.
Laut Beiblatt trägt das Teil {part} {hundreds} Kilogramm, auf Ihrer Seite steht nur die Hälfte davon.
Im Karton fehlt das Teil {part}, und die Packliste zählt {few} Beutel statt der gelieferten.
Bei {teens} Kilometern in der Stunde höre ich aus Richtung {part} ein {noise} Geräusch, auf dem Ständer dagegen nichts.
Vom älteren {model} passt das Teil {part} nicht, weil das neue {few} Millimeter breiter ist.
Inzwischen hat {person} das Teil {part} gegen eines von {brand} getauscht, seither klemmt es, wenn ich {action}.
In der Kälte im {month} fror das Teil {part} bei minus {teens} Grad ein und ließ sich nicht mehr bewegen.
Auf dem Etikett am Teil {part} steht Größe {hundreds}, auf der Rechnung eine andere, und beide passen nicht.""",
    "desk": """Sobald ich den Bereich {menu} öffne, passiert es: Das Programm {fault}, und die {file} ist nach {few} Minuten weg.
Beim Einlesen unserer {file} mit {hundreds} Zeilen stockt es in Zeile {teens}: Das Programm {fault}, ganz ohne Meldung.
Nach der Anmeldung auf {system} gilt für alle außer der {role}: Die Seite {menu} {fault}.
Die {file}, die wir jeden {month} verschicken, {fault}, sobald sie mehr als {teens} Seiten hat.
Im Bereich {menu} ist der Knopf für die {file} verschwunden, nur die {role} sieht ihn noch auf {system}.
Das Kopieren von {hundreds} Einträgen aus {menu} in die {file} dauert {teens} Minuten, und das Fenster {fault}.
Der nächtliche Lauf für die {file} {fault}, und zwar an {few} von {teens} Tagen, meistens im {month}.
Die Suche in der {file} nach Namen wie José oder Zoë {fault}, ohne Akzent klappt sie in {few} Sekunden.
Eine {role} hat etwas unter {menu} verändert, und seitdem gilt auf {system}: Die {file} {fault}.
Jedes Mal, wenn der Rechner aufwacht, wird das Symbol {colour}, und die Seite {menu} {fault}.
Bei {teens} gleichzeitigen Nutzern passiert es: Die {file} {fault}, obwohl der Server nur zu {few} Prozent ausgelastet ist.
Auf dem Telefon stehen {hundreds} ungelesene Hinweise unter {menu}, doch die Übersicht {fault}.
Das Teilen der {file} mit der Filiale misslingt, die Freigabe {fault}, und der Verweis läuft nach {few} Stunden ab.
Beim Drucken der {file} aus {menu} auf A{few} ist Schluss: Das Programm {fault}, auf {system} jedes Mal.""",
}

DETAILS = {
    "shop": """Ich habe es mit einem Tropfen Öl und einer neuen Scheibe versucht, das half höchstens für {few} Fahrten.
Nachgemessen hat {person}, heraus kamen {hundreds} Newton und ein Kopfschütteln.
Der Beleg stammt aus dem {month}, die Garantie sollte also noch {teens} Monate gelten.
Meine Körpergröße ist {hundreds} Zentimeter, falls das wichtig ist, und ich fahre rund {teens} Stunden pro Woche.
Wir brechen in {few} Wochen auf und möchten ungern einen Ersatz mieten, denn es geht durch {place}.
Auf den angehängten Fotos sehen Sie das Teil {part} von {few} Seiten.
Ihre Filiale konnte mir nur eines in {colour} anbieten, mit {teens} Tagen Lieferzeit.
Dasselbe passierte vor zwei Sommern mit einem {brand} {model}, betroffen war {person}.
Bezahlt habe ich {hundreds} Euro, das ist viel Geld für {use}.
Gelagert wird alles in einem trockenen Keller bei {teens} Grad, niemals in der Sonne.""",
    "desk": """Ich habe {system} neu gestartet, den Zwischenspeicher geleert und {teens} Minuten gewartet, alles vergeblich.
Im Protokoll finde ich den Eintrag {hundreds} vom {month} und danach nichts mehr.
Dieselben Rechte hat {person}, und dort gibt es auf {system} überhaupt keine Schwierigkeiten.
Das Netz hier ist schnell, andere Programme öffnen die {file} in {few} Sekunden.
Unser Termin ist in {few} Tagen, und {hundreds} Leute warten auf die {file}.
Begonnen hat es im {month}, als unsere {role} im Bereich {menu} aufräumte und {few} Einträge löschte.
Man riet uns, das Profil zu löschen, aber wir haben Angst um die {file}, so kurz vor dem {month}.
Die Fehlernummer lautet {hundreds}, manchmal mit {few} Nullen davor.
Frei sind noch {hundreds} Gigabyte, und der Arbeitsspeicher ist halb leer.
Geprüft haben wir es auf {system} und auf einem zweiten Gerät, mit dem gleichen Ergebnis in {few} Versuchen.""",
}

ASKS = {
    "shop": """Kann ich das Teil {part} selbst richten, oder muss ich alles einschicken?
Welches Teil empfehlen Sie statt {part}, und was kostet es mit Versand über {place}?
Ist das bei der Warengruppe {item} üblich, und wenn nicht, wer bezahlt die Rücksendung?
Wie fest soll das Teil {part} sitzen, und mit welchem Werkzeug prüfe ich das?
Würden Sie es gegen „{model} {teens}“ tauschen, obwohl ich es schon für {use} benutzt habe?
Könnte Ihre Werkstatt es sich noch vor Ende {month} ansehen?
Was kann ich unterwegs tun, wenn das Teil {part} auf der Strecke durch {place} wieder versagt?
Greift hier die Garantie von {brand}, oder gilt sie nur für den Stoff in {colour}?
Darf ich das Stück weiter benutzen, bis das neue Teil {part} kommt?
Wo finde ich die Zeichnung vom Teil {part} mit allen {few} Schrauben?""",
    "desk": """Welche Einstellung unter {menu} bringt die {file} zurück?
Wie bekomme ich die {file} aus {app} heraus, ohne die Einträge vom {month} zu verlieren?
Lässt sich rückgängig machen, was die {role} getan hat, etwa um {few} Tage?
Wer darf die {file} sehen, und wie entziehe ich der {role} dieses Recht wieder?
Sollen wir {app} auf {system} neu installieren, oder genügt eine Reparatur?
Läuft {app} überhaupt auf {system}, und was unterstützen Sie im {month} noch?
Könnten Sie bei sich nachsehen und uns sagen, was an der {file} nicht stimmt?
Wie groß darf eine {file} für {app} höchstens sein, in Zeilen oder Megabyte?
Wie kann {person} weiterarbeiten, während Sie danach suchen?
Wann wird das behoben, und müssen wir auf die Version {few}.{teens} warten?""",
}

ANSWERS = {
    "shop": """Bitte nehmen Sie das Teil {part} ab, wischen Sie den Sitz trocken und ziehen Sie es mit {few} Newtonmetern an.
Das ist eine bekannte Schwäche bis zur Seriennummer {hundreds}; wir schicken Ihnen {part} kostenlos zu.
Bringen Sie alles mit dem Beleg in eine Filiale, dort tauschen wir das Teil {part}, während Sie warten.
Für {use} raten wir zu „{brand} {model}“, dort ist das Teil {part} um {few} Millimeter dicker.
Sie können es vorerst weiter benutzen, wenn Sie das Teil {part} alle {teens} Kilometer prüfen.
Die Garantie deckt das Teil {part} für {few} Jahre, sofern es eine Werkstatt eingebaut hat.
Bestellen Sie das Teil {part} unter seiner eigenen Nummer; der Versand kostet {few} Euro.
Unsere Werkstatt hat im {month} einen Platz frei, und die Reparatur dauert etwa {few} Stunden.
Spülen Sie es mit lauwarmem Wasser, lassen Sie es {teens} Stunden trocknen und nehmen Sie kein Lösungsmittel.
Das tut uns leid: Schicken Sie uns noch ein Foto vom Teil {part}, und Sie bekommen in {few} Tagen Antwort.""",
    "desk": """Öffnen Sie {menu}, wählen Sie die {file} und stellen Sie vor dem Einlesen {hundreds} Zeilen ein.
Melden Sie sich als Verwalter an, gehen Sie zu {menu} und geben Sie der {role} das Recht, die {file} zu lesen.
Das ist in der Version {few}.{teens} von {app} behoben; bitte aktualisieren Sie und starten Sie {system} neu.
Holen Sie die {file} aus der Sicherung vom {month} zurück: Nur die letzten {few} Einträge gehen verloren.
Auf {system} muss unter {menu} einmal der Zwischenspeicher geleert werden, das dauert {few} Minuten.
Die {file} ist für einen Schritt zu groß; teilen Sie sie in {few} Stücke zu je {hundreds} Zeilen.
Wir haben die Grenze für Ihren Standort auf {hundreds} angehoben, bitte versuchen Sie es noch einmal.
Entfernen Sie das alte Profil der {role} unter {menu}; die {file} selbst bleibt, wo sie ist.
Öffnen Sie die {file} bis zur nächsten Ausgabe über die Seite {menu} und nicht über die Startseite.
Schicken Sie uns das Protokoll vom {month} über das Formular unter {menu}, dann prüfen wir die {file}.""",
}

FOLLOW_UPS = """Und wie ist es bei dem in {colour}, das {person} hat?
Danke. Gilt dasselbe im {month} für {place}?
Verstehe. Wie lange dauert das, wenn {person} mir hilft?
Würden {few} davon für {teens} Leute reichen?
Was mache ich, wenn es unterwegs durch {place} wieder passiert?
Gibt es etwas, das {person} in der Zwischenzeit nicht tun sollte?"""

FOLLOW_ANSWERS = """Ja, auch dann; rechnen Sie nur mit {few} Tagen mehr.
Das dauert höchstens {few} Minuten, mit einem Anfänger {teens}.
Dann schreiben Sie uns noch einmal und nennen Sie die Nummer {hundreds}.
Das kommt darauf an: Im {month} würden wir noch etwas warten.
Dagegen spricht nichts, solange jemand alle {few} Tage nachsieht."""

SYSTEMS = """Sie beraten die Kundschaft eines Outdoor-Geschäfts, kurz und freundlich.
Sie sind der Support eines Softwarehauses. Antworten Sie in einfachen Worten.
Beantworten Sie Fragen zu Fahrrädern, Zelten und der Software dafür."""

THOUGHTS = """Es geht um das Teil {part}; die Nummer {hundreds} ist wichtiger als der Rest.
Zuerst sehe ich den Bestand nach, dann antworte ich mit dem, was dort steht.
Das klingt nach einem bekannten Fall vom {month}. Ich prüfe, ob {few} Stück da sind."""

POLITE = """Hallo zusammen. |Guten Morgen, |Entschuldigung, |Guten Tag! |Eine kurze Frage: """
THANKS = """ Vielen Dank!| Danke schön.| Besten Dank im Voraus.| Herzliche Grüße.| Danke sehr!"""
